"""Damaged or malicious checkpoints are reported, and affect nothing else."""

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from evalserver.checkpoints.fingerprints import fingerprint
from evalserver.checkpoints.readiness import not_ready_reason, signature
from evalserver.system import directory_listing
from tests.conftest import MakeApi
from tests.support import Api, Json, ServerProcess, make_accessible, until, without_permissions


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A directory with one weights file."""
    path = tmp_path / "checkpoint"
    path.mkdir()
    (path / "weights").write_bytes(b"1")
    return path


NESTED = "[" * 20_000 + "]" * 20_000
INDEXES = {
    "nested deep": ('{"weight_map": {"a": ' + NESTED + "}}", "nested more than 100 deep"),
    "a long name": (json.dumps({"weight_map": {"a": "x" * 300}}), "which its index names"),
    "no text": ('{"weight_map": {"a": "b\\u0000c"}}', "which its index names"),
    "cut off": ('{"weight_map": {"a"', "has an index that cannot be read"),
}


@pytest.mark.parametrize(("index", "reason"), INDEXES.values(), ids=INDEXES.keys())
def test_a_malicious_index_is_a_reason_not_to_load(
    checkpoint: Path, index: str, reason: str
) -> None:
    (checkpoint / "model.safetensors.index.json").write_text(index)

    assert reason in (not_ready_reason(checkpoint) or "")


def test_a_directory_without_read_permission_is_a_reason_not_to_load(checkpoint: Path) -> None:
    checkpoint.chmod(0o700)
    make_accessible(checkpoint)

    with without_permissions():
        reason = not_ready_reason(checkpoint)

    assert reason == "cannot be read: Permission denied"


def test_a_directory_with_too_many_files_has_no_signature_and_no_digest(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory_listing, "MAX_FILES", 0)

    reason = "has too many files: 0 or more"
    assert signature(checkpoint) == reason
    found = fingerprint(checkpoint, full=False)
    assert (found["digest"], found["incomplete"]) == (None, reason)


@pytest.mark.parametrize(("index", "reason"), INDEXES.values(), ids=INDEXES.keys())
async def test_a_job_waits_for_a_malicious_checkpoint_while_others_run(
    api: Api, checkpoint: Path, index: str, reason: str
) -> None:
    (checkpoint / "model.safetensors.index.json").write_text(index)
    waiting = await api.submit(model_args={"pretrained": str(checkpoint)}, wait_for_path_s=600)

    async def is_reported() -> bool:
        return reason in str((await api.job(waiting))["waiting_for"])

    await until(is_reported)
    other = await api.finished(await api.submit())

    assert (other["status"], (await api.job(waiting))["status"]) == ("completed", "queued")


async def test_a_malicious_checkpoint_fails_its_job_after_the_timeout(
    api: Api, checkpoint: Path
) -> None:
    (checkpoint / "model.safetensors.index.json").write_text('{"weight_map": ' + NESTED + "}")

    job = await api.finished(
        await api.submit(model_args={"pretrained": str(checkpoint)}, wait_for_path_s=0.1)
    )

    assert job["status"] == "failed"
    assert "has an index that cannot be read" in job["error"]


async def test_an_unresponsive_disk_delays_no_other_job(
    api: Api, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = asyncio.Event()
    monkeypatch.setattr(
        "evalserver.checkpoints.waits.CheckpointWaits._find_reason", lambda *_: answers.wait()
    )
    waiting = await api.submit(model_args={"pretrained": str(checkpoint)}, wait_for_path_s=600)

    other = await api.finished(await api.submit())

    assert (other["status"], (await api.job(waiting))["status"]) == ("completed", "queued")


DAMAGED = [
    "{}", "[]", "null", "", '{"model"', "\x00\x01", '{"model": 1, "tasks": ["mme"]}',
    '{"model": "a", "tasks": 5}', '{"model": "a", "tasks": ["mme"], "num_gpus": {}}',
    '{"model": "a", "tasks": ["mme"], "wait_for_path_s": "long"}',
]  # fmt: skip


def damage(data_dir: Path, job_id: str, text: str) -> None:
    """Overwrite the request of a job, as a disk fault could."""
    with closing(sqlite3.connect(data_dir / "evalserver.db")) as connection, connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute("UPDATE jobs SET request = ? WHERE job_id = ?", (text, job_id))


@pytest.mark.parametrize("text", DAMAGED)
async def test_a_damaged_request_fails_only_its_own_job(
    make_api: MakeApi, data_dir: Path, text: str
) -> None:
    api = await make_api()
    hanging = await api.submit(model_args={"behave": "hang"})
    damaged, behind = await api.submit(), await api.submit()
    await api.when(hanging, "running")
    damage(data_dir, damaged, text)

    await api.call("DELETE", f"/jobs/{hanging}")
    after: Json = await api.finished(behind)

    assert after["status"] == "completed"
    assert "The record of the job is damaged: its column request" in await _error(api, damaged)


async def test_a_damaged_request_fails_its_job_after_a_restart(data_dir: Path) -> None:
    async with ServerProcess(data_dir) as server:
        hanging = await server.api.submit(model_args={"behave": "hang"})
        damaged, behind = await server.api.submit(), await server.api.submit()
        await server.api.wait_for_harness(hanging)
        server.kill()
        damage(data_dir, damaged, '{"model"')

        await server.start()
        await server.api.call("DELETE", f"/jobs/{hanging}")
        after = await server.api.finished(behind)

        assert after["status"] == "completed"
        assert "The record of the job is damaged" in await _error(server.api, damaged)


READ = (
    "/jobs", "/jobs?search=dummy", "/jobs?sort=-model", "/jobs?status=queued", "/queue",
    "/jobs/{damaged}", "/jobs/{behind}", "/metrics", "/health",
    "/", "/ui/jobs", "/ui/jobs/{damaged}", "/ui/jobs/{behind}", "/ui/jobs?search=dummy",
)  # fmt: skip


@pytest.mark.parametrize("text", DAMAGED)
async def test_everything_can_be_read_despite_a_damaged_request(
    make_api: MakeApi, data_dir: Path, text: str
) -> None:
    api = await make_api()
    await api.finished(await api.submit())  # the basis of forecasts
    hanging = await api.submit(model_args={"behave": "hang"})
    damaged, behind = await api.submit(), await api.submit()
    await api.when(hanging, "running")
    damage(data_dir, damaged, text)

    paths = [path.format(damaged=damaged, behind=behind) for path in READ]
    answers = {path: await api.status_of(path) for path in paths}

    assert answers == dict.fromkeys(paths, 200)


async def _error(api: Api, job_id: str) -> str:
    jobs = (await api.call("GET", "/jobs"))["jobs"]
    return next(str(job["error"]) for job in jobs if job["job_id"] == job_id)
