"""The page of the leaderboard."""

import pytest
from playwright.async_api import expect

from tests.browser import Visit
from tests.support import Api, ServerProcess
from tests.web.pages.jobs import scored

PHONE_PX = 390


async def run(api: Api, model: str, *scores: float, **fields: object) -> str:
    """Run a job of a model whose documents get these scores."""
    args = {"behave": "scores", "scores": "/".join(map(str, scores)), "pretrained": model}
    return await scored(api, *scores, model_args=args, **fields)


@pytest.mark.browser
async def test_models_are_ranked_with_errors_marks_and_means(
    server: ServerProcess, visit: Visit
) -> None:
    async with server:
        await run(server.api, "sft", *[1] * 40, tasks=["mme", "ai2d"])
        await run(server.api, "dpo", *[1] * 39, 0, tasks=["mme", "ai2d"])
        await run(server.api, "base", *[0] * 30, *[1] * 10)
        await visit.page.goto(f"{server.url}/ui/leaderboard")
        rows = visit.page.locator(".leaderboard tbody tr")

        await expect(rows.nth(0)).to_contain_text("sft")
        await expect(rows.nth(0).locator(".verdict")).to_have_text(["best", "best"])
        await expect(rows.nth(1).locator(".verdict")).to_have_text(["not different"] * 2)
        await expect(rows.nth(2)).to_contain_text("1 missing")
        await expect(rows.nth(2).locator(".verdict")).to_have_count(0)
        main = visit.page.locator("main")
        await expect(main).to_contain_text("3 of these tests compare document by document")
        await expect(main).to_contain_text("The mean is unweighted, over ai2d, mme.")


@pytest.mark.browser
async def test_a_phone_shows_the_first_number_beside_the_name(
    server: ServerProcess, visit: Visit
) -> None:
    await visit.page.set_viewport_size({"width": PHONE_PX, "height": 800})
    async with server:
        await run(server.api, "lab/" + "a_long_name_" * 9, 1, 1, tasks=["mme", "ai2d"])
        await visit.page.goto(f"{server.url}/ui/leaderboard")
        number = await visit.page.locator(".leaderboard td a").first.bounding_box()

    assert number is not None
    assert number["x"] + number["width"] <= PHONE_PX


@pytest.mark.browser
async def test_the_form_selects_tasks_rows_and_jobs(server: ServerProcess, visit: Visit) -> None:
    async with server:
        for step, scores in ((100, [1, 1]), (200, [1, 0])):
            await run(server.api, f"ckpt-{step}", *scores, series="run", step=step)
        await run(server.api, "other", 1, 1, tasks=["ai2d"])
        await visit.page.goto(f"{server.url}/ui/leaderboard")

        await visit.page.get_by_label("Tasks").fill("mme gsm*")
        await visit.page.get_by_label("Rows").select_option("series")
        await visit.page.get_by_label("Job that counts").select_option("best")
        await visit.page.get_by_role("button", name="Show").click()

        rows = visit.page.locator(".leaderboard tbody tr")
        await expect(rows).to_have_count(1)
        await expect(rows.first).to_contain_text("run")
        await expect(rows.first.locator("td a")).to_have_text("1")
        await expect(visit.page.locator("main")).to_contain_text("part of it is chance")
        link = await visit.page.get_by_role("link", name="CSV").get_attribute("href")
        assert link is not None
        table = await server.api.text(link)

    assert [line.split(",")[1] for line in table.splitlines()] == ["name", "run"]


async def test_jobs_that_are_not_comparable_are_named(server: ServerProcess) -> None:
    async with server:
        await run(server.api, "a", 1, 0)
        await run(server.api, "b", 1, 0, limit=2)

        page = await server.api.text("/ui/leaderboard")

    assert "have a column each: mme (2)" in page
    assert "limit 2" in page
