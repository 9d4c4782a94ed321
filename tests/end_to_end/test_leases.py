"""Leases through crashes of the server."""

import asyncio
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest

from tests.end_to_end.crashing_server import CrashingServer
from tests.real_harness import interpreter
from tests.support import Json, request, until

Rotation = Callable[[Path], None]


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A checkpoint in the directory of a run."""
    place = tmp_path / "run" / "checkpoint-100"
    place.mkdir(parents=True)
    (place / "model.safetensors").write_bytes(bytes(1000))
    return place


@pytest.fixture
def server(tmp_path: Path) -> CrashingServer:
    """A server that may make leases beside the checkpoint."""
    return CrashingServer(tmp_path / "data", "--cancel-grace", "1", "--allow-path", str(tmp_path))


def leases_beside(checkpoint: Path) -> list[str]:
    """Return the jobs that have a lease beside the checkpoint."""
    folder = checkpoint.parent / ".evalserver-leases"
    return [path.name for path in folder.iterdir()] if folder.exists() else []


async def swept(checkpoint: Path) -> None:
    """Wait until there is no lease beside the checkpoint."""

    async def is_clean() -> bool:
        return not leases_beside(checkpoint)

    await until(is_clean)


def body(checkpoint: Path, **args: str) -> Json:
    """A request with links to the checkpoint."""
    return request(model_args={"pretrained": str(checkpoint), **args}, lease="link")


async def test_a_lease_outlives_a_killed_server_and_is_removed_at_the_end_of_its_job(
    server: CrashingServer, checkpoint: Path, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    async with server:
        answer = await server.api.call("POST", "/evaluate", json=body(checkpoint, until=str(gate)))
        shutil.rmtree(checkpoint)
        server.kill()
        await server.start()
        assert leases_beside(checkpoint) == [answer["job_id"]]

        gate.touch()

        assert (await server.api.finished(answer["job_id"]))["status"] == "completed"
        await swept(checkpoint)


async def test_a_lease_of_a_job_that_was_not_written_is_removed_at_the_next_start(
    server: CrashingServer, checkpoint: Path
) -> None:
    async with server:
        await server.start_to_crash_at("submitting")
        with pytest.raises(aiohttp.ClientError):
            await server.api.call("POST", "/evaluate", json=body(checkpoint))
        await server.wait_for_crash()
        assert len(leases_beside(checkpoint)) == 1

        await server.start_without_crash_point()

        await swept(checkpoint)
        assert (checkpoint / "model.safetensors").read_bytes() == bytes(1000)


async def test_a_lease_is_removed_at_the_next_start_if_its_job_had_ended(
    server: CrashingServer, checkpoint: Path
) -> None:
    async with server:
        await server.start_to_crash_at("finished")
        await server.api.call("POST", "/evaluate", json=body(checkpoint))
        await server.wait_for_crash()
        assert len(leases_beside(checkpoint)) == 1

        await server.start_without_crash_point()

        await swept(checkpoint)


def rotate_as_transformers(run: Path) -> None:
    """Keep the newest checkpoint as ``save_total_limit=1`` does: by its own function."""
    code = (
        "import sys; from transformers.trainer_utils import rotate_checkpoints;"
        " rotate_checkpoints(sys.argv[1], save_total_limit=1)"
    )
    python = str(interpreter("lmms-eval"))
    subprocess.run([python, "-c", code, str(run)], check=True, capture_output=True)


def rotate_as_torchtitan(run: Path) -> None:
    """Keep the newest checkpoint by the rule of ``keep_latest_k``, which is 2 or more there: of all
    names in which ``re.search`` finds ``step-(\\d+)``, all but the last are removed."""
    names = {path: re.search(r"step-(\d+)", path.name) for path in run.iterdir()}
    steps = sorted((int(match[1]), path) for path, match in names.items() if match)
    for _, path in steps[:-1]:
        shutil.rmtree(path)


@pytest.mark.parametrize(
    ("prefix", "rotate"),
    [
        pytest.param(
            "checkpoint", rotate_as_transformers, marks=pytest.mark.real_harness("lmms-eval")
        ),
        ("step", rotate_as_torchtitan),
    ],
)
async def test_a_rotation_that_knows_of_no_lease_takes_nothing_from_an_evaluation(
    server: CrashingServer, tmp_path: Path, prefix: str, rotate: Rotation
) -> None:
    gate, run = tmp_path / "gate", tmp_path / "trained"
    async with server:
        jobs = []
        for step in (100, 200, 300):
            checkpoint = run / f"{prefix}-{step}"
            checkpoint.mkdir(parents=True)
            (checkpoint / "model.safetensors").write_bytes(bytes(step))
            answer = await server.api.call(
                "POST", "/evaluate", json=body(checkpoint, until=str(gate))
            )
            jobs.append(answer["job_id"])
        await asyncio.to_thread(rotate, run)
        left = {path.name for path in run.iterdir()}
        gate.touch()

        finished = [await server.api.finished(job_id) for job_id in jobs]

    assert left == {f"{prefix}-300", ".evalserver-leases"}
    assert [job["status"] for job in finished] == ["completed"] * 3
    changed = [job["result"]["dummy"]["weights_changed"] for job in finished]
    assert changed == [False] * 3
