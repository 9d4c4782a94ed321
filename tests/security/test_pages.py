"""The dashboard of a server with authentication: login, permissions and secrets."""

import asyncio

import pytest
from playwright.async_api import expect

from evalserver.core.roles import Role
from tests.browser import Visit, accessibility_violations, open_browser
from tests.security.lab import Lab


async def log_in(visit: Visit, lab: Lab, role: Role, path: str) -> None:
    """Open a page, get redirected to the login, and log in."""
    await visit.page.goto(lab.server.url + path)
    await visit.page.get_by_label("Token").fill(lab.tokens[role])
    await visit.page.get_by_role("button", name="Log in").click()
    await visit.page.wait_for_url(lab.server.url + path)


@pytest.mark.browser
async def test_logging_in_opens_the_requested_page_and_logging_out_works(lab: Lab) -> None:
    async with open_browser() as visit:
        await log_in(visit, lab, Role.VIEWER, "/ui/jobs")
        await expect(visit.page.locator(".who")).to_contain_text("viewer")
        await expect(visit.page.locator("#live")).to_have_text("Live")
        assert await accessibility_violations(visit.page) == []

        await visit.page.get_by_role("button", name="Log out").click()

        await expect(visit.page.get_by_label("Token")).to_be_visible()


@pytest.mark.browser
@pytest.mark.parametrize(
    ("role", "expected"), [(Role.VIEWER, 0), (Role.SUBMITTER, 1), (Role.ADMIN, 1)]
)
async def test_actions_are_shown_only_to_roles_that_may_use_them(
    lab: Lab, role: Role, expected: int
) -> None:
    job_id = await asyncio.to_thread(lab.submit, Role.SUBMITTER)
    async with open_browser() as visit:
        await log_in(visit, lab, role, f"/ui/jobs/{job_id}")

        cancel = visit.page.get_by_role("button", name="Cancel", exact=True)
        assert await cancel.count() == expected


def test_a_batch_is_cancelled_only_by_roles_that_may_change_it(lab: Lab) -> None:
    body = {"jobs": [{"model": "dummy", "tasks": ["mme"], "model_args": {"behave": "hang"}}]}
    batch_id = lab.send("POST", "/batches", Role.SUBMITTER, json=body).json()["batch_id"]

    pages = {
        role: lab.send("GET", f"/ui/jobs?batch_id={batch_id}", role).text for role in lab.tokens
    }

    offered = {role for role, page in pages.items() if f'hx-delete="/batches/{batch_id}"' in page}
    assert offered == {Role.SUBMITTER, Role.ADMIN}


@pytest.mark.browser
async def test_a_submitter_cancels_in_the_browser(lab: Lab) -> None:
    job_id = await asyncio.to_thread(lab.submit, Role.SUBMITTER)
    async with open_browser() as visit:
        await log_in(visit, lab, Role.SUBMITTER, f"/ui/jobs/{job_id}")

        await visit.page.get_by_role("button", name="Cancel", exact=True).click()
        await visit.page.get_by_role("button", name="Cancel job").click()

        await expect(visit.page.locator("h1 .pill")).to_have_text("cancelled")
        await expect(visit.page.locator(".timeline")).to_contain_text("by submitter")


def test_a_job_page_shows_no_secrets_of_others(lab: Lab) -> None:
    secret = "sk-" + "s3cr3t" * 6
    job_id = lab.submit(Role.SUBMITTER, model_args={"api_key": secret})

    pages = {role: lab.send("GET", f"/ui/jobs/{job_id}", role).text for role in lab.tokens}

    assert secret not in pages[Role.VIEWER]


def test_a_page_fragment_requested_without_a_session_redirects_to_the_login(
    lab: Lab,
) -> None:
    response = lab.send("GET", "/ui/jobs", headers={"HX-Request": "true", "Accept": "text/html"})

    assert response.headers["HX-Redirect"] == "/login?next=/ui/jobs"
    assert response.text == ""


def test_only_the_submitter_and_administrators_change_a_priority(lab: Lab) -> None:
    job_id = lab.submit(Role.SUBMITTER)
    change = {"json": {"priority": 3}}

    lab.tokens[Role.ANYONE] = lab.make_token("neighbour", Role.SUBMITTER)
    assert lab.send("PATCH", f"/jobs/{job_id}", Role.ANYONE, **change).status_code == 403
    assert lab.send("PATCH", f"/jobs/{job_id}", Role.SUBMITTER, **change).status_code == 200


def test_the_settings_page_shows_names_of_variables_but_not_their_values(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    lab = Lab(tmp_path_factory.mktemp("lab"), "--engine-env", "HF_TOKEN=hf_hidden")
    try:
        lab.open()
        page = lab.send("GET", "/ui/system", Role.ADMIN).text
    finally:
        lab.close()

    assert "HF_TOKEN" in page
    assert "hf_hidden" not in page
