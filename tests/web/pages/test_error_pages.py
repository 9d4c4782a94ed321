"""Error pages: what they say, and the ways that lead on from them."""

import pytest

from tests.browser import Visit, accessibility_violations, open_browser
from tests.support import ServerProcess
from tests.web.pages.conftest import Lab
from tests.web.pages.test_every_page import ODD_PHONE_PX

LONG_ADDRESS = f"/ui/{'x' * 300}"


async def test_an_address_that_no_page_has_leads_to_an_error_page(server: ServerProcess) -> None:
    async with server, server.api._session.get(f"{server.url}/ui/nothing") as response:
        page = await response.text()

    assert (response.status, response.content_type) == (404, "text/html")
    assert "There is nothing at /ui/nothing." in page


async def test_the_error_page_of_a_part_of_a_job_leads_to_the_job(lab: Lab) -> None:
    async with lab.api._session.get(f"{lab.url}/ui/jobs/{lab.failed}/samples/mme") as response:
        page = await response.text()

    assert response.status == 409
    assert f'href="/ui/jobs/{lab.failed}"' in page


async def test_an_invalid_query_of_a_page_names_its_field(server: ServerProcess) -> None:
    async with server, server.api._session.get(f"{server.url}/ui/jobs?label=foo") as response:
        page = await response.text()

    assert response.status == 422
    assert "<code>label</code>: Must be name=text" in page
    assert "The request is invalid. Please correct: label." in page


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_error_pages_and_the_login_page_are_accessible_and_fit_a_phone(
    lab: Lab, scheme: str
) -> None:
    paths = ("/ui/jobs/nothing", LONG_ADDRESS, "/ui/jobs?label=foo", "/login")
    viewport = {"width": ODD_PHONE_PX, "height": 720}
    found, widths = {}, set()
    async with open_browser(color_scheme=scheme, viewport=viewport) as visit:
        for path in (*paths, f"/ui/jobs/{lab.failed}/samples/mme"):
            await visit.page.goto(lab.url + path)
            found[path] = await accessibility_violations(visit.page)
            widths.add(await visit.page.evaluate("() => document.documentElement.scrollWidth"))

    assert {path: errors for path, errors in found.items() if errors} == {}
    assert widths == {ODD_PHONE_PX}


@pytest.mark.browser
async def test_the_description_of_the_api_leads_back_to_the_dashboard(
    server: ServerProcess, visit: Visit
) -> None:
    async with server:
        await visit.page.goto(f"{server.url}/docs")

        await visit.page.get_by_role("link", name="dashboard").click()

        await visit.page.wait_for_url(f"{server.url}/")
