"""The GPUs on the home page, in a real browser, with several running jobs."""

import re
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser import accessibility_violations, open_browser
from tests.stub_nvml import GIB, StubNvml
from tests.support import ServerProcess, stand_in_environment, until


@pytest.mark.browser
async def test_each_gpu_shows_its_holder_since_when_memory_and_utilization(
    nvml: StubNvml, data_dir: Path, tmp_path: Path
) -> None:
    end = tmp_path / "end"
    environment = {**stand_in_environment(), **nvml.variables}
    server = ServerProcess(data_dir, "--gpus", "auto", environment=environment)
    async with server, open_browser() as visit:
        page = visit.page
        models = ("early", "late")
        jobs = [
            await server.api.submit_unchecked(model=model, model_args={"until": str(end)})
            for model in models
        ]
        for job_id in jobs:
            await server.api.wait_for_harness(job_id)
        holders = {(await server.api.job(job_id))["gpus"][0]: job_id for job_id in jobs}
        nvml.change(0, used=20 * GIB, utilization=40)
        nvml.change(1, used=60 * GIB, utilization=95)
        await server.api.call("PUT", "/gpus/1/quarantine?reason=fan")

        async def has_plots() -> bool:
            gpus = (await server.api.call("GET", "/gpus"))["gpus"]
            return all(len({*gpu["history"]["memory_used"]}) > 1 for gpu in gpus)

        await until(has_plots)
        await page.goto(server.url)

        for gpu, used, share in zip(nvml.gpus, ("20.0", "60.0"), ("40 %", "95 %"), strict=True):
            row = page.locator(f"#gpu-{gpu.uuid}")
            await expect(row).to_contain_text("held")
            link = row.get_by_role("link", name=models[jobs.index(holders[gpu.uuid])])
            await expect(link).to_have_attribute("href", f"/ui/jobs/{holders[gpu.uuid]}")
            await expect(row.locator("td").nth(3)).to_have_text(re.compile("ago|now"))
            await expect(row.locator("td").nth(4)).to_contain_text(f"{used} of 80 GiB")
            await expect(row.locator("td").nth(5)).to_contain_text(share)
            for title in ("Memory", "Utilization"):
                plot = row.get_by_role("img", name=f"{title} in the last minutes")
                await expect(plot).to_be_visible()
        await expect(page.locator(f"#gpu-{nvml.gpus[1].uuid}")).to_contain_text("quarantined")
        for job_id in jobs:
            await expect(page.locator(f"#running-{job_id}")).to_be_visible()
        assert await accessibility_violations(page) == []
        assert visit.errors == []

        # The rows are renewed without loading the page again.
        end.touch()
        await expect(page.locator(f"#gpu-{nvml.gpus[0].uuid}")).not_to_contain_text("held")
