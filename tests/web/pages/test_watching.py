"""Live updates of open pages while jobs change and while the server restarts."""

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser import Visit
from tests.support import Api, ServerProcess

MARK = "window.watched = true"


async def watch(visit: Visit, server: ServerProcess, path: str) -> None:
    """Open a page and wait until it is live; mark it so that a reload is detected."""
    await visit.page.goto(server.url + path)
    await expect(visit.page.locator("#live")).to_have_text("Live")
    await visit.page.evaluate(MARK)


async def is_the_same_page(visit: Visit) -> bool:
    """Whether the page was not reloaded."""
    return bool(await visit.page.evaluate("() => window.watched === true"))


async def submit_gated(api: Api, gate: Path) -> str:
    """Submit a job that waits at 50 % until its gate file exists."""
    return await api.submit_unchecked(
        model="watched", model_args={"behave": "bars", "gate": str(gate)}
    )


@pytest.mark.browser
async def test_the_home_page_shows_a_job_from_its_submission_to_its_results(
    server: ServerProcess, visit: Visit, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    async with server:
        await watch(visit, server, "/")

        job_id = await submit_gated(server.api, gate)
        card = visit.page.locator(f"#running-{job_id}")
        await expect(card.locator(".percent")).to_have_text("50 %")
        await expect(card.locator(".count")).to_have_text("4 of 8")
        gate.touch()
        row = visit.page.locator(f"#ended-{job_id}")
        await expect(row.locator(".pill")).to_have_text("completed")
        await expect(row.locator(".outcome")).to_have_text("mme acc 0.500")

        await expect(card).to_have_count(0)
        assert await is_the_same_page(visit)
        assert visit.errors == []


@pytest.mark.browser
async def test_a_job_page_updates_from_queued_to_results(
    server: ServerProcess, visit: Visit, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    async with server:
        await server.api.submit(model_args={"until": str(gate)})
        args = {"behave": "scores", "scores": "1/0/1/1"}
        job_id = await server.api.submit(model_args=args)
        await watch(visit, server, f"/ui/jobs/{job_id}")
        main = visit.page.locator("main")
        await expect(main).to_contain_text("which is running")

        gate.touch()

        await expect(main.locator("h1 .pill")).to_have_text("completed")
        await expect(main.locator("#fresh-results table")).to_contain_text("0.75")
        await expect(main.locator(".sample")).to_have_count(4)
        await expect(main.locator(".timeline li")).to_have_count(3)
        assert await is_the_same_page(visit)
        assert visit.errors == []


@pytest.mark.browser
async def test_a_lost_connection_is_shown_and_restored(server: ServerProcess, visit: Visit) -> None:
    async with server:
        await watch(visit, server, "/")

        server.stop()
        live = visit.page.locator("#live")
        await expect(live).to_have_text("Connection lost, reconnecting")
        await server.start()
        await expect(live).to_have_text("Live")
        job_id = await server.api.submit()

        await expect(visit.page.locator(f"#ended-{job_id}")).to_be_visible()
        assert await is_the_same_page(visit)


@pytest.mark.browser
async def test_changes_during_a_lost_connection_are_shown_afterwards(
    server: ServerProcess, visit: Visit
) -> None:
    async with server:
        await watch(visit, server, "/")
        await visit.page.context.set_offline(True)
        await visit.page.evaluate("() => dispatchEvent(new Event('offline'))")
        server.stop()
        await expect(visit.page.locator("#live")).to_contain_text("lost")
        await server.start()
        job_id = await server.api.submit()
        await server.api.finished(job_id)

        await visit.page.context.set_offline(False)

        await expect(visit.page.locator(f"#ended-{job_id}")).to_be_visible()
        assert await is_the_same_page(visit)


@pytest.mark.browser
async def test_updates_keep_opened_details_open(server: ServerProcess, visit: Visit) -> None:
    async with server:
        job_id = await server.api.submit()
        await server.api.finished(job_id)
        await watch(visit, server, f"/ui/jobs/{job_id}")
        await visit.page.get_by_text("Copy as curl").click()

        await server.api.call("POST", f"/jobs/{job_id}/retry")

        await expect(visit.page.locator(".timeline li")).to_have_count(6)
        assert await visit.page.locator("details[open]").count() == 1


@pytest.mark.browser
async def test_the_script_formats_times_as_the_server_does(
    server: ServerProcess, visit: Visit
) -> None:
    from evalserver.web.pages.formatting import distance

    seconds = [0, 9.9, 10, 59, 60, 119, 3599, 3600, 7199, 86400, 172799, 172800, 1e6]
    async with server:
        await visit.page.goto(server.url)
        formatted = await visit.page.evaluate(
            "async (all) => { const times = await import('/static/dashboard/times.js');"
            " return all.map(times.distance); }",
            seconds,
        )

    assert formatted == [distance(each) for each in seconds]
