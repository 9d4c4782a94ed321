"""The system page's part for administrators, in a real browser, and who is shown it."""

from pathlib import Path

import pytest
from playwright.async_api import Page

from tests.browser import Visit, barriers
from tests.cli.commands import run_evalserver, where
from tests.support import ServerProcess
from tests.web.pages.test_every_page import LIVE, go


@pytest.fixture
def closed(tmp_path: Path) -> ServerProcess:
    """A server that asks everybody for a token."""
    return ServerProcess(tmp_path / "data", "--cancel-grace", "1", "--auth", "token")


def token(server: ServerProcess, role: str) -> str:
    """A new token of this role."""
    made = run_evalserver(
        *("token", "create", f"--name={role}-of-the-test", f"--role={role}"),
        *where(server.data_dir),
    )
    return made.stdout.strip()


async def log_in(visit: Visit, server: ServerProcess, secret: str) -> None:
    """Log in, and go to the system page."""
    await visit.page.goto(f"{server.url}/login?next=/ui/system")
    await visit.page.fill("#token", secret)
    await visit.page.click("text=Log in")
    await visit.page.locator(LIVE).wait_for()


async def confirm(page: Page, words: str) -> None:
    """Press the button of the question that is asked."""
    await page.locator("#confirm-yes", has_text=words).click()


@pytest.mark.browser
async def test_an_administrator_drains_with_a_reason_and_resumes(
    server: ServerProcess, visit: Visit
) -> None:
    async with server:
        await go(visit, server, "/ui/system")
        await visit.page.fill("[name=reason]", "new driver")
        await visit.page.get_by_role("button", name="Drain", exact=True).click()
        await confirm(visit.page, "Drain")
        await visit.page.get_by_role("button", name="Resume", exact=True).wait_for()
        told = await visit.page.locator("#fresh-queue").inner_text()
        draining = (await server.api.call("GET", "/queue"))["draining"]
        await visit.page.get_by_role("button", name="Resume", exact=True).click()
        await confirm(visit.page, "Resume")
        await visit.page.get_by_role("button", name="Drain", exact=True).wait_for()

        assert draining["reason"] == "new driver"
        assert "new driver" in told
        assert "draining" not in await server.api.call("GET", "/queue")
    assert visit.errors == []


@pytest.mark.browser
async def test_the_home_page_says_that_nothing_is_started(
    server: ServerProcess, visit: Visit
) -> None:
    async with server:
        await server.api.call("POST", "/drain?reason=new+driver")
        await go(visit, server, "/")

        assert "new driver" in await visit.page.locator(".banner").inner_text()


@pytest.mark.browser
async def test_a_backup_is_made_and_listed(server: ServerProcess, visit: Visit) -> None:
    async with server:
        await go(visit, server, "/ui/system")
        await visit.page.click("text=Back up now")
        await confirm(visit.page, "Back up")
        await visit.page.locator("#fresh-backups li").wait_for()

        [made] = (server.data_dir / "backups").glob("*.db")
        assert made.name in await visit.page.locator("#fresh-backups li").inner_text()
    assert visit.errors == []


@pytest.mark.browser
async def test_a_token_is_made_shown_once_and_revoked(closed: ServerProcess, visit: Visit) -> None:
    secret = token(closed, "admin")
    async with closed:
        await log_in(visit, closed, secret)
        await visit.page.fill("[name=name]", "alice")
        await visit.page.click("text=Make a token")
        await confirm(visit.page, "Make it")
        await visit.page.locator("#revealed").wait_for()
        shown = await visit.page.locator("#revealed pre").inner_text()
        row = visit.page.locator("#fresh-tokens tr", has_text="alice")
        await row.wait_for()
        as_alice = {"Authorization": f"Bearer {shown}"}
        await closed.api.call("GET", "/jobs", headers=as_alice)

        await row.get_by_role("button", name="Revoke").click()
        await confirm(visit.page, "Revoke")
        await visit.page.locator("#fresh-tokens tr", has_text="revoked").wait_for()

        await closed.api.call("GET", "/jobs", 401, headers=as_alice)
        await visit.page.reload()
        assert shown not in await visit.page.content()
    assert visit.errors == []


@pytest.mark.browser
async def test_what_is_wrong_with_a_new_token_is_said(closed: ServerProcess, visit: Visit) -> None:
    secret = token(closed, "admin")
    async with closed:
        await log_in(visit, closed, secret)
        await visit.page.fill("[name=name]", "no such name")
        await visit.page.click("text=Make a token")
        await confirm(visit.page, "Make it")
        await visit.page.locator(".notice", has_text="name: Must be letters").wait_for()


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_administration_keeps_nobody_out(
    closed: ServerProcess, visit: Visit, scheme: str
) -> None:
    secret = token(closed, "admin")
    async with closed:
        await visit.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        await log_in(visit, closed, secret)

        assert await barriers(visit.page) == []


@pytest.mark.browser
@pytest.mark.parametrize("role", ["viewer", "submitter"])
async def test_others_are_shown_nothing_of_it(
    closed: ServerProcess, visit: Visit, role: str
) -> None:
    secret = token(closed, role)
    async with closed:
        await log_in(visit, closed, secret)

        assert await visit.page.locator("#administration").count() == 0


@pytest.mark.browser
async def test_an_open_server_says_where_tokens_are_made(
    server: ServerProcess, visit: Visit
) -> None:
    async with server:
        await go(visit, server, "/ui/system")

        assert await visit.page.locator("text=Make a token").count() == 0
        assert "evalserver token" in await visit.page.locator("main").inner_text()
