"""``./scripts/screenshots``: the README's dashboard screenshots, taken from a real run.

The real lmms-eval evaluates checkpoints of a small vision model, each trained on more images than
the one before, several at once. The GPUs that they hold are simulated: a stub of NVIDIA's library.
"""

import asyncio
import random
import re
import tempfile
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import Page, expect

from tests.browser import open_browser
from tests.digits_model import make_digits_task, serving_digits
from tests.real_harness import interpreter, offline_environment
from tests.stub_nvml import GIB, StubNvml, build
from tests.support import ServerProcess

DIGITS = Path(__file__).parent / "digits"
PICTURES = Path(__file__).parents[1] / "docs" / "pictures"

SERIES = {"digits": (15, 30, 45, 60, 75), "digits-mixed": (20, 35, 50, 70)}
"""Training runs, and the number of training images of each checkpoint."""
TASK = "digits_vqa"
WINDOW = {"width": 1180, "height": 1000}
HALF_DONE = re.compile(r"[2-9]\d %")
"""The progress at which the home page is captured."""
GPUS = 4
SEED = 17


async def main() -> None:
    """Evaluate, then take the screenshots."""
    PICTURES.mkdir(exist_ok=True)
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        make_digits_task(place / "task", place / "hub")
        fast = stack.enter_context(serving_digits())
        slow = stack.enter_context(serving_digits("--delay", "0.5"))
        python = str(interpreter("lmms-eval"))
        nvml = StubNvml(build(place), place / "nvml.txt", GPUS)
        for index in range(GPUS):
            nvml.change(index, name="Simulated 80 GB")
        server = ServerProcess(
            place / "evalserver",
            *("--engine-python", python, "--include-path", str(place / "task")),
            *("--gpus", "auto"),
            environment={**offline_environment(place / "hub"), **nvml.variables},
        )
        async with server, _simulated_activity(server, nvml):
            submitted = [
                await _submit(server, fast, images, name)
                for name, steps in SERIES.items()
                for images in steps
            ]
            done = [await _completed(server, job_id) for job_id in submitted]
            broken = await server.api.submit_unchecked(
                model="async_openai", tasks=["digits_vqa_v2"]
            )
            await server.api.finished(broken)
            await server.api.call("PUT", "/gpus/3/quarantine?reason=new+fan")
            running = [await _submit(server, slow, images, "digits") for images in (90, 105, 120)]
            await server.api.submit(model="qwen2_vl", tasks=["mme", "mmmu_val"], num_gpus=4)
            await _submit(server, slow, 135, "digits")
            pages = {
                "home": "/",
                "job": f"/ui/jobs/{done[4]}",
                "compare": f"/ui/compare?job={done[0]}&job={done[2]}&job={done[4]}",
                "leaderboard": "/ui/leaderboard",
                "trends": "/ui/trends",
            }
            for scheme in ("light", "dark"):
                await _capture(server, pages, scheme, running[-1])
            for job in [job async for job in _unfinished(server)]:
                await server.api.call("DELETE", f"/jobs/{job}")
            for job_id in running:
                await server.api.finished(job_id)


@asynccontextmanager
async def _simulated_activity(server: ServerProcess, nvml: StubNvml) -> AsyncIterator[None]:
    """Let the GPUs that jobs hold be active during the block."""
    task = asyncio.create_task(_simulate(server, nvml, random.Random(SEED)))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _simulate(server: ServerProcess, nvml: StubNvml, chance: random.Random) -> None:
    while True:
        for index, gpu in enumerate((await server.api.call("GET", "/gpus"))["gpus"]):
            used = utilization = 0
            if gpu["holder"]:
                used = int(chance.gauss(34 + 4 * index, 1.5) * GIB)
                utilization = round(min(100, max(0, chance.gauss(80, 12))))
            nvml.change(
                index, used=used, utilization=utilization, temperature=38 + utilization // 4
            )
        await asyncio.sleep(1)


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
        await expect(page.locator(".sample")).to_have_count(5)
    if name == "trends":
        await expect(page.locator("#plot canvas")).to_be_visible()


async def _completed(server: ServerProcess, job_id: str) -> str:
    job = await server.api.finished(job_id)
    assert job["status"] == "completed", job["error"]
    return job_id


async def _submit(server: ServerProcess, url: str, images: int, series: str) -> str:
    return await server.api.submit(
        model="async_openai",
        tasks=[TASK],
        model_args={"model": f"digits-svc@{images}", "base_url": f"{url}/v1", "api_key": "none"},
        series=series,
        step=images,
        use_cache=False,
    )


async def _unfinished(server: ServerProcess) -> Any:
    page = await server.api.call("GET", "/jobs?status=queued,running")
    for job in page["jobs"]:
        yield job["job_id"]


if __name__ == "__main__":
    asyncio.run(main())
