"""What jobs use of their GPUs, and jobs on a server with a stub of NVIDIA's library."""

from pathlib import Path

from tests.stub_nvml import GIB, StubNvml
from tests.support import ServerProcess, stand_in_environment, until


def server_with(nvml: StubNvml, data_dir: Path, *options: str) -> ServerProcess:
    environment = {**stand_in_environment(), **nvml.variables}
    return ServerProcess(data_dir, "--gpus", "auto", *options, environment=environment)


async def test_the_provenance_of_a_job_has_what_it_used_of_its_gpu(
    nvml: StubNvml, data_dir: Path, tmp_path: Path
) -> None:
    end = tmp_path / "end"
    async with server_with(nvml, data_dir) as server:
        job_id = await server.api.submit_unchecked(model_args={"until": str(end)})
        await server.api.wait_for_harness(job_id)
        [gpu] = (await server.api.job(job_id))["gpus"]
        index = [each.uuid for each in nvml.gpus].index(gpu)
        nvml.change(index, used=5 * GIB, utilization=80)

        async def is_read() -> bool:
            gpus = (await server.api.call("GET", "/gpus"))["gpus"]
            return 80 in gpus[index]["history"]["utilization"][:-1]

        await until(is_read)
        nvml.change(index, used=0, utilization=0)
        end.touch()
        job = await server.api.finished(job_id)

    load = job["provenance"]["gpu_load"]
    assert load["peak_memory_bytes"] == 5 * GIB
    assert 0 < load["mean_utilization"] <= 80
    assert load["observed_s"] > 0


async def test_a_job_waits_while_a_stranger_uses_the_gpu(nvml: StubNvml, data_dir: Path) -> None:
    nvml.change(0, used=5 * GIB, processes={2**22 + 7: 5 * GIB})
    nvml.change(1, used=5 * GIB, processes={2**22 + 8: 5 * GIB})
    async with server_with(nvml, data_dir) as server:
        job_id = await server.api.submit_unchecked()

        async def is_explained() -> bool:
            waiting_for = (await server.api.job(job_id))["waiting_for"]
            return f"process {2**22 + 7}" in (waiting_for or "")

        await until(is_explained)
        nvml.change(1, used=0, processes={})
        job = await server.api.finished(job_id)

    assert (job["status"], job["gpus"]) == ("completed", [nvml.gpus[1].uuid])


async def test_a_cordoned_gpu_gets_no_job(nvml: StubNvml, data_dir: Path) -> None:
    async with server_with(nvml, data_dir) as server:
        await server.api.call("PUT", "/gpus/0/quarantine")
        job = await server.api.finished(await server.api.submit_unchecked())

    assert job["gpus"] == [nvml.gpus[1].uuid]
