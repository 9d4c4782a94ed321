"""Reading GPUs in threads: what fails, and what is late."""

import asyncio
import time

import pytest
from structlog.testing import capture_logs

from evalserver.core.health import Health
from evalserver.gpus import nvml as nvml_module
from evalserver.gpus.inventory import find_gpus
from evalserver.gpus.monitor import GpuMonitor
from tests.stub_nvml import GIB, StubNvml
from tests.support import until


async def test_a_defect_is_reported_and_reading_goes_on(
    nvml: StubNvml, monkeypatch: pytest.MonkeyPatch
) -> None:
    health, gpu = Health(), nvml.gpus[0].uuid
    monitor = GpuMonitor(find_gpus("auto", {})[:1], interval_s=0.02, health=health)
    await monitor.start()

    def fail(handle: object) -> None:
        raise ValueError("of a driver that nobody has tried")

    async def is_reported() -> bool:
        return health.degraded_reason is not None

    async def is_over() -> bool:
        return health.degraded_reason is None

    with monkeypatch.context() as broken, capture_logs() as logged:
        broken.setattr(nvml_module, "_read", fail)
        await until(is_reported)
        state = monitor.state(gpu)
        await asyncio.sleep(0.2)

    assert [each["event"] for each in logged] == ["reading a GPU failed; trying again"]
    assert state is not None
    assert "of a driver that nobody has tried" in (state.fault or "")
    assert state.reading is not None, "the older one"
    nvml.change(0, used=GIB)
    await until(is_over)
    state = monitor.state(gpu)
    assert (state and state.fault) is None
    monitor.close()


async def test_a_requested_reading_is_newer_than_the_request(nvml: StubNvml) -> None:
    monitor, gpu = GpuMonitor(find_gpus("auto", {}), interval_s=600), nvml.gpus[0].uuid
    await monitor.start()
    requested_at = time.monotonic()
    before = monitor.state(gpu)

    await monitor.refresh([gpu])

    after = monitor.state(gpu)
    assert before is not None
    assert after is not None
    assert before.at < requested_at <= after.at
    monitor.close()
