"""Pages that are watched while jobs come, go on, and end; and while the server goes and comes."""

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser import Visit
from tests.support import Api, ServerProcess

MARK = "window.watched = true"


async def watch(visit: Visit, server: ServerProcess, path: str) -> None:
    """Open a page and wait until it is live; then mark it, so that a reload would be seen."""
    await visit.page.goto(server.url + path)
    await expect(visit.page.locator("#live")).to_have_text("Live")
    await visit.page.evaluate(MARK)


async def is_the_same_page(visit: Visit) -> bool:
    """Whether it was never loaded anew."""
    return bool(await visit.page.evaluate("() => window.watched === true"))


async def bars(api: Api, gate: Path) -> str:
    """A job that stops half way until its gate is there."""
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

        job_id = await bars(server.api, gate)
        card = visit.page.locator(f"#running-{job_id}")
        await expect(card.locator(".percent")).to_have_text("50 %")
        await expect(card.locator(".count")).to_have_text("4 of 8")
        gate.touch()
        row = visit.page.locator(f"#ended-{job_id}")
        await expect(row.locator(".pill")).to_have_text("completed")
        await expect(row.locator(".outcome")).to_have_text("acc 0.500")

        await expect(card).to_have_count(0)
        assert await is_the_same_page(visit)
        assert visit.errors == []


@pytest.mark.browser
async def test_a_job_page_goes_from_waiting_to_results_by_itself(
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
async def test_a_cut_is_told_and_mended(server: ServerProcess, visit: Visit) -> None:
    async with server:
        await watch(visit, server, "/")

        server.stop()
        live = visit.page.locator("#live")
        await expect(live).to_have_text("Connection lost, trying again")
        await server.start()
        await expect(live).to_have_text("Live")
        job_id = await server.api.submit()

        await expect(visit.page.locator(f"#ended-{job_id}")).to_be_visible()
        assert await is_the_same_page(visit)


@pytest.mark.browser
async def test_what_happened_during_a_cut_is_shown_after_it(
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
async def test_updates_leave_alone_what_a_reader_has_opened(
    server: ServerProcess, visit: Visit
) -> None:
    async with server:
        job_id = await server.api.submit()
        await server.api.finished(job_id)
        await watch(visit, server, f"/ui/jobs/{job_id}")
        await visit.page.get_by_text("Copy as curl").click()

        await server.api.call("POST", f"/jobs/{job_id}/retry")

        await expect(visit.page.locator(".timeline li")).to_have_count(6)
        assert await visit.page.locator("details[open]").count() == 1


@pytest.mark.browser
async def test_times_say_the_same_in_scripts_as_on_the_server(
    server: ServerProcess, visit: Visit
) -> None:
    from evalserver.web.pages.words import distance

    seconds = [0, 9.9, 10, 59, 60, 119, 3599, 3600, 7199, 86400, 172799, 172800, 1e6]
    async with server:
        await visit.page.goto(server.url)
        said = await visit.page.evaluate(
            "async (all) => { const times = await import('/static/dashboard/times.js');"
            " return all.map(times.distance); }",
            seconds,
        )

    assert said == [distance(each) for each in seconds]
