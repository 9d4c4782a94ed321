"""``/gpus``, its commands, page and metrics: a real server with a stub of NVIDIA's library."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.commands import data_dir_option, run_evalserver
from tests.cli.shell import Shell
from tests.stub_nvml import GIB, GPU_IS_LOST, StubNvml
from tests.support import Json, ServerProcess, stand_in_environment, until

FIRST, SECOND = "GPU-00000000", "GPU-00000001"


@pytest.fixture
def server(nvml: StubNvml, data_dir: Path) -> ServerProcess:
    """A server that manages both GPUs."""
    environment = {**stand_in_environment(), **nvml.variables}
    return ServerProcess(data_dir, "--gpus", "auto", environment=environment)


async def gpus_of(server: ServerProcess) -> list[Json]:
    """The GPUs as the server returns them."""
    found: list[Json] = (await server.api.call("GET", "/gpus"))["gpus"]
    return found


async def test_every_gpu_is_listed_with_its_readings_and_processes(
    server: ServerProcess, nvml: StubNvml
) -> None:
    nvml.change(0, used=GIB // 2, utilization=55, temperature=62)
    nvml.change(1, used=3 * GIB, processes={os.getpid(): 2 * GIB})
    async with server:

        async def has_history() -> bool:
            return len((await gpus_of(server))[0]["history"]["memory_used"]) > 1

        await until(has_history)
        free, used = await gpus_of(server)

    assert (free["id"], free["index"], free["status"], free["reason"]) == (FIRST, 0, "free", None)
    assert (free["memory_used"], free["utilization"], free["temperature"]) == (GIB // 2, 55, 62)
    assert set(free["history"]["utilization"]) == {55}
    assert used["status"] == "unavailable"
    assert used["reason"].startswith(f"is used by process {os.getpid()} of user ")
    [process] = used["processes"]
    assert (process["pid"], process["memory_used"], process["job_id"]) == (
        os.getpid(),
        2 * GIB,
        None,
    )


async def test_a_lost_gpu_has_no_readings_and_says_why(
    server: ServerProcess, nvml: StubNvml
) -> None:
    async with server:
        nvml.change(1, fault=GPU_IS_LOST)

        async def find_lost() -> Json | None:
            gpu = (await gpus_of(server))[1]
            return gpu if gpu["status"] == "unavailable" else None

        lost = await until(find_lost)

    assert (lost["status"], lost["memory_used"]) == ("unavailable", None)
    assert lost["reason"] == "cannot be read: GPU is lost"


async def test_a_quarantine_lasts_until_it_is_released_also_after_a_restart(
    server: ServerProcess,
) -> None:
    async with server:
        done = await server.api.call("PUT", "/gpus/1/quarantine?reason=fan")
        server.kill()
        await server.start()
        gpu = (await gpus_of(server))[1]
        await server.api.call("DELETE", f"/gpus/{SECOND}/quarantine")
        again = await server.api.call("DELETE", f"/gpus/{SECOND}/quarantine")
        released = (await gpus_of(server))[1]

    assert done["message"] == f"GPU 1 ({SECOND}) is quarantined: nothing is started on it"
    assert (gpu["status"], gpu["quarantine"]["reason"]) == ("unavailable", "fan")
    assert gpu["reason"].endswith("by anonymous: fan")
    assert (released["status"], released["quarantine"]) == ("free", None)
    assert "was not quarantined" in again["message"]


async def test_a_held_gpu_is_cordoned_and_its_job_goes_on(server: ServerProcess) -> None:
    async with server:
        path = server.data_dir / "evalserver.db"
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            database.execute(
                "INSERT INTO gpu_holds VALUES (?, 'job', 'some-job', ?)",
                (FIRST, "2026-01-01T00:00:00.000+00:00"),
            )
        done = await server.api.call("PUT", "/gpus/0/quarantine")
        gpu = (await gpus_of(server))[0]

    assert done["message"].endswith("; job some-job runs on until it ends")
    assert (gpu["status"], gpu["holder"]["id"], gpu["reason"]) == ("held", "some-job", None)
    assert gpu["quarantine"]["reason"] == "no reason was given"


async def test_a_gpu_that_is_not_managed_cannot_be_quarantined(server: ServerProcess) -> None:
    async with server:
        problem = await server.api.call("PUT", "/gpus/7/quarantine", 404)

    assert problem["detail"] == (
        f"The server manages no GPU 7. It manages: 0 ({FIRST}), 1 ({SECOND})"
    )


async def test_only_administrators_quarantine(nvml: StubNvml, data_dir: Path) -> None:
    environment = {**stand_in_environment(), **nvml.variables}
    options = ("--gpus", "auto", "--auth", "token")
    async with ServerProcess(data_dir, *options, environment=environment) as server:
        created = run_evalserver(
            *("token", "create", "--name=sam", "--role=submitter"), *data_dir_option(data_dir)
        )
        headers = {"Authorization": f"Bearer {created.stdout.strip()}"}
        for method in ("PUT", "DELETE"):
            await server.api.call(method, "/gpus/0/quarantine", 403, headers=headers)
        assert len((await server.api.call("GET", "/gpus", headers=headers))["gpus"]) == 2


async def test_the_command_line_shows_cordons_and_uncordons(
    server: ServerProcess, nvml: StubNvml
) -> None:
    nvml.change(0, used=2 * GIB, utilization=7, processes={os.getpid(): GIB})
    async with server:
        shell = Shell(server.url)
        cordoned = shell.stdout_of("gpus", "cordon", "1", "--reason", "fan")
        listed = shell.stdout_of("gpus").splitlines()
        uncordoned = shell.stdout_of("gpus", "uncordon", SECOND)
        misplaced = run_evalserver("gpus", "--url", server.url, "uncordon", "1")

        assert [gpu["status"] for gpu in shell.json("gpus")] == ["unavailable", "free"]
    assert cordoned.startswith(f"GPU 1 ({SECOND}) is quarantined")
    assert uncordoned == f"GPU 1 ({SECOND}) is not quarantined any more\n"
    assert "2.0 / 80 GiB" in listed[1]
    assert "is used by process" in listed[1]
    assert "is quarantined by anonymous: fan" in listed[2]
    assert misplaced.returncode == 2
    assert "Give --url after 'uncordon'" in misplaced.stderr


async def test_the_gauges_have_what_can_be_read(server: ServerProcess, nvml: StubNvml) -> None:
    nvml.change(0, used=GIB, utilization=50, temperature=60)
    nvml.change(1, used=GIB, processes={os.getpid(): GIB})
    async with server:
        nvml.change(1, fault=GPU_IS_LOST)
        await until(lambda: _has_no_reading(server, SECOND))
        await server.api.call("PUT", "/gpus/0/quarantine")
        text = await server.api.text("/metrics")

    assert f'evalserver_gpu_memory_used_bytes{{gpu="{FIRST}"}} 1.073741824e+09' in text
    assert f'evalserver_gpu_utilization_ratio{{gpu="{FIRST}"}} 0.5' in text
    assert f'evalserver_gpu_temperature_celsius{{gpu="{FIRST}"}} 60.0' in text
    assert f'evalserver_gpu_quarantined{{gpu="{FIRST}"}} 1.0' in text
    assert 'evalserver_gpus{status="unavailable"} 2.0' in text
    assert f'evalserver_gpu_memory_used_bytes{{gpu="{SECOND}"}}' not in text


async def _has_no_reading(server: ServerProcess, gpu: str) -> bool:
    text = await server.api.text("/metrics")
    return f'evalserver_gpu_memory_used_bytes{{gpu="{gpu}"}}' not in text


async def test_the_home_page_has_a_row_for_each_gpu(server: ServerProcess, nvml: StubNvml) -> None:
    nvml.change(0, used=GIB, utilization=42)
    async with server:
        await server.api.call("PUT", "/gpus/1/quarantine?reason=<b>fan</b>")

        async def has_plot() -> str | None:
            page = await server.api.text("/")
            return page if "<polyline" in page else None

        page = await until(has_plot)

    assert f'id="gpu-{FIRST}"' in page
    assert "42 %" in page
    assert "&lt;b&gt;fan" in page


async def test_without_managed_gpus_there_are_none(data_dir: Path) -> None:
    async with ServerProcess(data_dir) as server:
        assert await gpus_of(server) == []
        assert 'id="gpus"' not in await server.api.text("/")


def test_a_server_that_cannot_manage_the_gpus_says_why_and_does_not_start(
    nvml: StubNvml, data_dir: Path
) -> None:
    done = run_evalserver(
        *("serve", "--gpus=0,7"),
        *data_dir_option(data_dir),
        environment={**os.environ, **nvml.variables},
    )

    assert done.returncode != 0
    assert "there is no GPU 7 on this machine" in done.stderr
