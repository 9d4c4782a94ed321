"""Provenance of a job's metrics, and detecting weights that were overwritten meanwhile."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from evalserver.checkpoints.fingerprints import fingerprint
from tests.conftest import MakeApi
from tests.support import STAND_IN, Api, Json, until


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A checkpoint with one large file and a small one."""
    place = tmp_path / "checkpoint"
    place.mkdir()
    (place / "config.json").write_text("{}")
    (place / "model.safetensors").write_bytes(bytes(2 * 1024 * 1024))
    return place


def arguments(checkpoint: Path, **more: object) -> Json:
    """Model arguments with this checkpoint."""
    return {"pretrained": str(checkpoint), **more}


async def test_harness_interpreter_packages_seed_and_environment_are_recorded(
    make_api: MakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", "/hub")
    monkeypatch.setenv("HF_TOKEN", "opensesame-1234")
    api = await make_api()

    job = await api.finished(await api.submit(seed=7))

    provenance = job["provenance"]
    assert provenance["harness"] == {
        **{"name": "lmms-eval", "version": "0.0.0"},
        **{"commit": None, "tree": None},
    }
    assert (provenance["interpreter"], provenance["seed"]) == (sys.executable, 7)
    assert provenance["packages"]["lmms-eval"] == "0.0.0"
    environment = provenance["environment"]
    assert (environment["HF_HOME"], environment["HF_TOKEN"]) == ("/hub", "***")
    assert environment["PYTHONPATH"] == str(STAND_IN)


async def test_a_harness_without_package_metadata_is_recorded_by_its_files(
    make_api: MakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(STAND_IN / "lmms_eval", tmp_path / "tree" / "lmms_eval")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "tree"))
    api = await make_api()
    first = await api.finished(await api.submit())
    (tmp_path / "tree" / "lmms_eval" / "new_task.yaml").write_text("task: new")
    second = await api.finished(await api.submit())

    harnesses = [job["provenance"]["harness"] for job in (first, second)]
    assert [each["version"] for each in harnesses] == [None, None]
    assert len({each["tree"] for each in harnesses} - {None}) == 2


async def test_an_unchanged_checkpoint_is_not_flagged(api: Api, checkpoint: Path) -> None:
    job = await api.finished(await api.submit(model_args=arguments(checkpoint)))

    moments = job["provenance"]["checkpoints"]
    digests = {moments[name]["pretrained"]["digest"] for name in ("submitted", "started", "ended")}
    assert len(digests) == 1
    assert job["result"]["dummy"]["weights_changed"] is False


async def test_weights_overwritten_while_the_job_waits_are_flagged(
    api: Api, checkpoint: Path, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    await api.submit(model_args={"until": str(gate)})
    job_id = await api.submit(model_args=arguments(checkpoint))

    (checkpoint / "model.safetensors").write_bytes(bytes(1024))
    gate.touch()
    job = await api.finished(job_id)

    assert job["result"]["dummy"]["weights_changed"] is True
    assert job["provenance"]["weights_changed"] is True


async def test_weights_overwritten_while_the_job_runs_are_flagged(
    api: Api, checkpoint: Path, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    job_id = await api.submit(model_args=arguments(checkpoint, until=str(gate)))
    await api.when(job_id, "running")
    run_dir = Path((await api.job(job_id))["run_dir"])

    async def is_prepared() -> bool:
        return (run_dir / "provenance.json").exists()

    await until(is_prepared)
    (checkpoint / "new-file").write_text("x")
    gate.touch()
    job = await api.finished(job_id)

    assert job["result"]["dummy"]["weights_changed"] is True


async def test_the_fingerprint_at_submission_is_kept_for_further_attempts(
    api: Api, checkpoint: Path
) -> None:
    job_id = await api.submit(model_args=arguments(checkpoint))
    first = await api.finished(job_id)
    (checkpoint / "model.safetensors").write_bytes(bytes(1024))

    await api.call("POST", f"/jobs/{job_id}/retry")
    second = await api.finished(job_id)

    submitted = [each["provenance"]["checkpoints"]["submitted"] for each in (first, second)]
    assert submitted[0] == submitted[1]
    assert second["result"]["dummy"]["weights_changed"] is True


async def test_every_byte_is_hashed_if_configured(make_api: MakeApi, checkpoint: Path) -> None:
    api = await make_api(fingerprint="full")

    job = await api.finished(await api.submit(model_args=arguments(checkpoint)))

    moments = job["provenance"]["checkpoints"]
    started, ended = (
        moments[name]["pretrained"]["content_digest"] for name in ("started", "ended")
    )
    assert started == ended is not None


def test_a_full_fingerprint_detects_changes_that_keep_size_and_time(checkpoint: Path) -> None:
    weights = checkpoint / "model.safetensors"
    before = fingerprint(checkpoint, full=True)
    times = weights.stat()
    weights.write_bytes(b"\1" * times.st_size)
    os.utime(weights, ns=(times.st_atime_ns, times.st_mtime_ns))

    after = fingerprint(checkpoint, full=True)

    assert before["digest"] == after["digest"]
    assert before["content_digest"] != after["content_digest"]


async def test_a_job_without_a_local_checkpoint_has_no_fingerprints(api: Api) -> None:
    job = await api.finished(await api.submit(model_args={"pretrained": "org/model"}))

    assert "checkpoints" not in job["provenance"]
    assert "weights_changed" not in job["result"]["dummy"]
