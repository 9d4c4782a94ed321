"""The administrators' part of the system page, in a real browser."""

from pathlib import Path

import pytest
from playwright.async_api import Page

from tests.browser import Visit, accessibility_violations, open_browser
from tests.cli.commands import data_dir_option, run_evalserver
from tests.followers.receivers import receiving
from tests.support import ServerProcess
from tests.web.pages.test_every_page import LIVE, ODD_PHONE_PX, go


@pytest.fixture
def secured(tmp_path: Path) -> ServerProcess:
    """A server that requires tokens."""
    return ServerProcess(tmp_path / "data", "--cancel-grace", "1", "--auth", "token")


def create_token(server: ServerProcess, role: str) -> str:
    """Create a token with this role."""
    created = run_evalserver(
        *("token", "create", f"--name={role}-of-the-test", f"--role={role}"),
        *data_dir_option(server.data_dir),
    )
    return created.stdout.strip()


async def log_in(visit: Visit, server: ServerProcess, secret: str) -> None:
    """Log in and open the system page."""
    await visit.page.goto(f"{server.url}/login?next=/ui/system")
    await visit.page.fill("#token", secret)
    await visit.page.click("text=Log in")
    await visit.page.locator(LIVE).wait_for()


async def confirm(page: Page, label: str) -> None:
    """Click the confirmation dialog's button."""
    await page.locator("#confirm-yes", has_text=label).click()


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
        status = await visit.page.locator("#fresh-queue").inner_text()
        draining = (await server.api.call("GET", "/queue"))["draining"]
        await visit.page.get_by_role("button", name="Resume", exact=True).click()
        await confirm(visit.page, "Resume")
        await visit.page.get_by_role("button", name="Drain", exact=True).wait_for()

        assert draining["reason"] == "new driver"
        assert "new driver" in status
        assert "draining" not in await server.api.call("GET", "/queue")
    assert visit.errors == []


@pytest.mark.browser
async def test_the_home_page_shows_that_the_server_drains(
    server: ServerProcess, visit: Visit
) -> None:
    async with server:
        await server.api.call("POST", "/drain?reason=new+driver")
        await go(visit, server, "/")

        assert "new driver" in await visit.page.locator(".banner").inner_text()


@pytest.mark.browser
async def test_a_backup_is_created_and_listed(server: ServerProcess, visit: Visit) -> None:
    async with server:
        await go(visit, server, "/ui/system")
        await visit.page.click("text=Back up now")
        await confirm(visit.page, "Back up")
        await visit.page.locator("#fresh-backups li").wait_for()

        [backup] = (server.data_dir / "backups").glob("*.db")
        assert backup.name in await visit.page.locator("#fresh-backups li").inner_text()
    assert visit.errors == []


@pytest.mark.browser
async def test_a_token_is_created_shown_once_and_revoked(
    secured: ServerProcess, visit: Visit
) -> None:
    secret = create_token(secured, "admin")
    async with secured:
        await log_in(visit, secured, secret)
        await visit.page.fill("[name=name]", "alice")
        await visit.page.click("text=Create token")
        await confirm(visit.page, "Create")
        await visit.page.locator("#revealed").wait_for()
        shown = await visit.page.locator("#revealed pre").inner_text()
        row = visit.page.locator("#fresh-tokens tr", has_text="alice")
        await row.wait_for()
        as_alice = {"Authorization": f"Bearer {shown}"}
        await secured.api.call("GET", "/jobs", headers=as_alice)

        await row.get_by_role("button", name="Revoke").click()
        await confirm(visit.page, "Revoke")
        await visit.page.locator("#fresh-tokens tr", has_text="revoked").wait_for()

        await secured.api.call("GET", "/jobs", 401, headers=as_alice)
        await visit.page.reload()
        assert shown not in await visit.page.content()
    assert visit.errors == []


@pytest.mark.browser
async def test_an_invalid_token_name_is_explained(secured: ServerProcess, visit: Visit) -> None:
    secret = create_token(secured, "admin")
    async with secured:
        await log_in(visit, secured, secret)
        await visit.page.fill("[name=name]", "no such name")
        await visit.page.click("text=Create token")
        await confirm(visit.page, "Create")
        await visit.page.locator(".notice", has_text="name: Must be letters").wait_for()


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_administration_is_accessible(
    secured: ServerProcess, visit: Visit, scheme: str
) -> None:
    secret = create_token(secured, "admin")
    async with secured:
        await visit.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        await log_in(visit, secured, secret)

        assert await accessibility_violations(visit.page) == []


@pytest.mark.browser
async def test_administration_fits_a_phone_and_names_its_values(secured: ServerProcess) -> None:
    secret = create_token(secured, "admin")
    viewport = {"width": ODD_PHONE_PX, "height": 720}
    async with secured, open_browser(viewport=viewport) as visit:
        as_admin = {"Authorization": f"Bearer {secret}"}
        reason = "reason" * 30
        await secured.api.call("POST", f"/drain?reason={reason}", headers=as_admin)
        await secured.api.call("POST", "/backup", headers=as_admin)
        token = {"name": "a" * 64, "role": "viewer"}
        await secured.api.call("POST", "/tokens", json=token, headers=as_admin)
        await log_in(visit, secured, secret)

        width = await visit.page.evaluate("() => document.documentElement.scrollWidth")
        row = visit.page.locator("#fresh-tokens tr", has_text=token["name"])
        text = await row.inner_text()

    assert width == ODD_PHONE_PX
    assert [name in text for name in ("created", "last used never", "expires")] == [True] * 3


@pytest.mark.browser
@pytest.mark.parametrize("role", ["viewer", "submitter"])
async def test_other_roles_do_not_see_administration(
    secured: ServerProcess, visit: Visit, role: str
) -> None:
    secret = create_token(secured, role)
    async with secured:
        await log_in(visit, secured, secret)

        assert await visit.page.locator("#administration").count() == 0


@pytest.mark.browser
async def test_an_open_server_says_how_to_create_tokens(
    server: ServerProcess, visit: Visit
) -> None:
    async with server:
        await go(visit, server, "/ui/system")

        assert await visit.page.locator("text=Create token").count() == 0
        assert "evalserver token" in await visit.page.locator("main").inner_text()


@pytest.mark.browser
async def test_a_webhook_is_created_tested_and_deleted(tmp_path: Path, visit: Visit) -> None:
    server = ServerProcess(tmp_path / "data", "--webhook-allow-network", "127.0.0.0/8")
    with receiving(tmp_path) as receiver:
        async with server:
            await go(visit, server, "/ui/system")
            await visit.page.fill("[name=url]", receiver.url)
            await visit.page.select_option("[name=events]", ["job.failed", "gate.verdict"])
            await visit.page.click("text=Create webhook")
            await confirm(visit.page, "Create")
            await visit.page.locator("#revealed-webhook").wait_for()
            secret = await visit.page.locator("#revealed-webhook pre").inner_text()
            row = visit.page.locator("#fresh-webhooks tr", has_text=receiver.url)
            await row.get_by_role("button", name="Test").click()
            await confirm(visit.page, "Send")
            await receiver.received(1)
            assert receiver.bodies(secret)[0]["type"] == "webhook.test"
            assert await accessibility_violations(visit.page) == []

            await visit.page.reload()
            assert secret not in await visit.page.content()
            await row.get_by_role("button", name="Delete").click()
            await confirm(visit.page, "Delete")
            await visit.page.locator("text=No webhooks yet").wait_for()
            assert (await server.api.call("GET", "/webhooks"))["webhooks"] == []
    assert visit.errors == []
