"""``./scripts/screenshots``: the README's dashboard screenshots, taken from a real run.

The real lmms-eval evaluates checkpoints of a small vision model, each trained on more images than
the one before.
"""

import asyncio
import re
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from playwright.async_api import Page, expect

from tests.browser import open_browser
from tests.digits_model import make_digits_task, serving_digits
from tests.real_harness import interpreter, offline_environment
from tests.support import ServerProcess

DIGITS = Path(__file__).parent / "digits"
PICTURES = Path(__file__).parents[1] / "docs" / "pictures"

SERIES = {"digits": (15, 30, 45, 60, 75), "digits-mixed": (20, 35, 50, 70)}
"""Training runs, and the number of training images of each checkpoint."""
TASK = "digits_vqa"
WINDOW = {"width": 1180, "height": 780}
HALF_DONE = re.compile(r"[2-9]\d %")
"""The progress at which the home page is captured."""


async def main() -> None:
    """Evaluate, then take the screenshots."""
    PICTURES.mkdir(exist_ok=True)
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        make_digits_task(place / "task", place / "hub")
        fast = stack.enter_context(serving_digits())
        slow = stack.enter_context(serving_digits("--delay", "0.5"))
        python = str(interpreter("lmms-eval"))
        server = ServerProcess(
            place / "evalserver",
            *("--engine-python", python, "--include-path", str(place / "task")),
            environment=offline_environment(place / "hub"),
        )
        async with server:
            done = [
                await _evaluate(server, fast, images, name)
                for name, steps in SERIES.items()
                for images in steps
            ]
            broken = await server.api.submit_unchecked(
                model="async_openai", tasks=["digits_vqa_v2"]
            )
            await server.api.finished(broken)
            running = await _submit(server, slow, 90, "digits")
            for images in (105, 120):
                await _submit(server, slow, images, "digits")
            await server.api.submit(model="qwen2_vl", tasks=["mme", "mmmu_val"], num_gpus=4)
            pages = {
                "home": "/",
                "job": f"/ui/jobs/{done[4]}",
                "compare": f"/ui/compare?job={done[0]}&job={done[2]}&job={done[4]}",
                "trends": "/ui/trends",
            }
            for scheme in ("light", "dark"):
                await _capture(server, pages, scheme, running)
            for job in [job async for job in _unfinished(server)]:
                await server.api.call("DELETE", f"/jobs/{job}")
            await server.api.finished(running)


async def _capture(server: ServerProcess, pages: dict[str, str], scheme: str, running: str) -> None:
    async with open_browser(color_scheme=scheme, viewport=WINDOW) as visit:
        for name, path in pages.items():
            await visit.page.goto(server.url + path)
            await expect(visit.page.locator("#live")).to_have_text("Live")
            await _wait_until_loaded(visit.page, name, running)
            await visit.page.screenshot(path=PICTURES / f"{name}-{scheme}.png")


async def _wait_until_loaded(page: Page, name: str, running: str) -> None:
    """Wait until the page shows what the screenshot needs."""
    if name == "home":
        percent = page.locator(f"#running-{running} .percent")
        await expect(percent).to_contain_text(HALF_DONE)
    if name == "job":
        await expect(page.locator(".sample")).to_have_count(10)
    if name == "trends":
        await expect(page.locator("#plot canvas")).to_be_visible()


async def _evaluate(server: ServerProcess, url: str, images: int, series: str) -> str:
    job_id = await _submit(server, url, images, series)
    job = await server.api.finished(job_id)
    assert job["status"] == "completed", job["error"]
    return job_id


async def _submit(server: ServerProcess, url: str, images: int, series: str) -> str:
    return await server.api.submit(
        model="async_openai",
        tasks=[TASK],
        model_args={"model": f"digits-svc@{images}", "base_url": f"{url}/v1", "api_key": "none"},
        labels={"series": series, "step": str(images)},
        use_cache=False,
    )


async def _unfinished(server: ServerProcess) -> Any:
    page = await server.api.call("GET", "/jobs?status=queued,running")
    for job in page["jobs"]:
        yield job["job_id"]


if __name__ == "__main__":
    asyncio.run(main())
