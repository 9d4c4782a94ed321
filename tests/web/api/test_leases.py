"""Leases: a checkpoint is kept until the jobs that need it have ended, whatever removes it."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from evalserver import is_leased
from evalserver.scheduling import lease_sweep
from evalserver.store import DATABASE_NAME
from tests.conftest import MakeApi
from tests.small_disk import mount_small_disk, no_room_beyond
from tests.support import Api, Json, request, results_file, until
from tests.web.answers import fetch

FILES = {"config.json": b"{}", "model.safetensors": bytes(2_000_000), "sub/extra.bin": b"extra"}


@pytest.fixture
def checkpoint(run: Path) -> Path:
    """A checkpoint of the run."""
    place = run / "checkpoint-100"
    for name, content in FILES.items():
        file = place / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return place


async def submitted(api: Api, checkpoint: Path, lease: str, **fields: Any) -> str:
    """Submit an evaluation of the checkpoint with a lease."""
    return await api.submit(model_args={"pretrained": str(checkpoint)}, lease=lease, **fields)


async def refusal(api: Api, **fields: Any) -> Json:
    """Return the only error of a request that is rejected."""
    answer = await fetch(api, "POST", "/evaluate", json=request(**fields))
    assert answer.status == 422, answer.json
    [error] = answer.json["errors"]
    return dict(error)


async def is_swept(run: Path) -> None:
    """Wait until nothing of a lease is left in the directory."""

    async def is_clean() -> bool:
        # Unlike Path.rglob, os.walk allows what it lists to be removed meanwhile.
        found = (name for _, folders, files in os.walk(run) for name in (*folders, *files))
        return not any(name.startswith(".evalserver") for name in found)

    await until(is_clean)


@pytest.mark.parametrize("lease", ["link", "copy"])
async def test_a_leased_checkpoint_is_evaluated_after_it_was_removed(
    api: Api, gate: Path, run: Path, checkpoint: Path, lease: str
) -> None:
    job_id = await submitted(api, checkpoint, lease)
    shutil.rmtree(checkpoint)
    gate.touch()

    job = await api.finished(job_id)

    read = results_file(job)["config"]["model_args"]["pretrained"]
    assert read == str(run / ".evalserver-leases" / job_id / checkpoint.name)
    assert job["request"]["model_args"] == {"pretrained": str(checkpoint)}
    moments = job["provenance"]["checkpoints"]
    times = ("submitted", "started", "ended")
    assert {moments[time]["pretrained"]["path"] for time in times} == {str(checkpoint)}
    assert job["result"]["dummy"]["weights_changed"] is False


async def test_links_are_the_files_and_not_copies(
    api: Api, gate: Path, run: Path, checkpoint: Path
) -> None:
    job_id = await submitted(api, checkpoint, "link")

    leased = run / ".evalserver-leases" / job_id / checkpoint.name
    for name in FILES:
        assert (leased / name).samefile(checkpoint / name)


async def test_a_copy_is_not_the_same_files(
    api: Api, gate: Path, run: Path, checkpoint: Path
) -> None:
    job_id = await submitted(api, checkpoint, "copy")

    leased = run / ".evalserver-leases" / job_id / checkpoint.name
    for name, content in FILES.items():
        assert (leased / name).read_bytes() == content
        assert not (leased / name).samefile(checkpoint / name)


@pytest.mark.parametrize("lease", ["link", "copy", "mark"])
async def test_a_lease_is_removed_at_the_end_of_its_job(
    api: Api, run: Path, checkpoint: Path, lease: str
) -> None:
    await api.finished(await submitted(api, checkpoint, lease))

    await is_swept(run)
    found = {str(path.relative_to(checkpoint)) for path in checkpoint.rglob("*") if path.is_file()}
    assert found == set(FILES)


async def test_a_lease_of_a_cancelled_job_is_removed(
    api: Api, gate: Path, run: Path, checkpoint: Path
) -> None:
    job_id = await submitted(api, checkpoint, "link")

    await api.call("DELETE", f"/jobs/{job_id}")

    await is_swept(run)


async def test_a_mark_asks_for_the_checkpoint_to_be_kept(
    api: Api, gate: Path, checkpoint: Path
) -> None:
    job_id = await submitted(api, checkpoint, "mark")

    assert is_leased(checkpoint)
    mark = json.loads((checkpoint / f".evalserver-lease-{job_id}.json").read_text())
    assert mark == {"job_id": job_id, "state": "needed"}


async def test_a_lease_changes_no_fingerprint(
    api: Api, gate: Path, run: Path, checkpoint: Path
) -> None:
    jobs = [await submitted(api, checkpoint, lease) for lease in ("mark", "link", "copy")]
    (checkpoint / ".evalserver-other").write_text("of another server")
    gate.touch()

    for job_id in jobs:
        assert (await api.finished(job_id))["result"]["dummy"]["weights_changed"] is False


async def test_a_checkpoint_that_is_one_file_is_linked(
    api: Api, gate: Path, run: Path, checkpoint: Path
) -> None:
    file = checkpoint / "model.safetensors"

    job_id = await submitted(api, file, "link")

    assert (checkpoint / ".evalserver-leases" / job_id / file.name).samefile(file)
    gate.touch()
    await api.finished(job_id)
    await is_swept(run)


async def test_several_arguments_may_name_one_checkpoint(
    api: Api, gate: Path, run: Path, checkpoint: Path
) -> None:
    paths = {"pretrained": str(checkpoint), "tokenizer": str(checkpoint)}
    job_id = await api.submit(model_args=paths, lease="link")
    shutil.rmtree(checkpoint)
    gate.touch()

    read = results_file(await api.finished(job_id))["config"]["model_args"]
    assert read["pretrained"] == read["tokenizer"]
    assert job_id in read["pretrained"]


async def test_a_file_that_is_written_in_place_fails_the_job(
    api: Api, gate: Path, checkpoint: Path
) -> None:
    job_id = await submitted(api, checkpoint, "link")
    (checkpoint / "model.safetensors").write_bytes(bytes(1000))
    gate.touch()

    job = await api.finished(job_id)

    assert (job["status"], job["failure"]["code"]) == ("failed", "checkpoint_missing")
    assert "written to since the submission" in job["error"]
    assert "lease copy" in job["error"]


async def test_a_copy_outlives_that_a_file_is_written_in_place(
    api: Api, gate: Path, checkpoint: Path
) -> None:
    job_id = await submitted(api, checkpoint, "copy")
    (checkpoint / "model.safetensors").write_bytes(bytes(1000))
    gate.touch()

    assert (await api.finished(job_id))["status"] == "completed"


async def test_links_that_somebody_removed_fail_the_job(
    api: Api, gate: Path, run: Path, checkpoint: Path
) -> None:
    job_id = await submitted(api, checkpoint, "link")
    shutil.rmtree(run / ".evalserver-leases")
    gate.touch()

    assert "was removed" in (await api.finished(job_id))["error"]


async def test_what_others_put_into_a_lease_is_left(
    api: Api, gate: Path, run: Path, checkpoint: Path
) -> None:
    job_id = await submitted(api, checkpoint, "link")
    leased = run / ".evalserver-leases" / job_id / checkpoint.name
    (leased / "notes").write_text("of somebody else")
    gate.touch()
    await api.finished(job_id)

    async def is_released() -> bool:
        return not (leased / "config.json").exists()

    await until(is_released)
    assert (leased / "notes").read_text() == "of somebody else"


async def test_a_retried_job_gets_its_lease_anew(
    api: Api, gate: Path, run: Path, checkpoint: Path, tmp_path: Path
) -> None:
    job_id = await submitted(api, checkpoint, "link")
    await api.call("DELETE", f"/jobs/{job_id}")
    await is_swept(run)

    await api.call("POST", f"/jobs/{job_id}/retry")
    shutil.rmtree(checkpoint)
    gate.touch()

    assert (await api.finished(job_id))["status"] == "completed"


async def test_a_job_is_not_retried_if_its_checkpoint_is_gone(
    api: Api, gate: Path, run: Path, checkpoint: Path
) -> None:
    job_id = await submitted(api, checkpoint, "link")
    await api.call("DELETE", f"/jobs/{job_id}")
    await is_swept(run)
    shutil.rmtree(checkpoint)

    answer = await fetch(api, "POST", f"/jobs/{job_id}/retry")

    assert answer.status == 409
    assert "does not exist" in answer.json["detail"]
    assert (await api.job(job_id))["status"] == "cancelled"


async def test_a_repeated_submission_makes_no_second_lease(
    api: Api, gate: Path, run: Path, checkpoint: Path
) -> None:
    body = request(model_args={"pretrained": str(checkpoint)}, lease="link")
    headers = {"Idempotency-Key": "once"}
    first = await api.call("POST", "/evaluate", json=body, headers=headers)
    shutil.rmtree(checkpoint)

    again = await api.call("POST", "/evaluate", json=body, headers=headers)

    assert again["job_id"] == first["job_id"]
    assert [path.name for path in (run / ".evalserver-leases").iterdir()] == [first["job_id"]]


async def test_a_rejected_submission_leaves_nothing(
    make_api: MakeApi, run: Path, checkpoint: Path, tmp_path: Path
) -> None:
    api = await make_api(max_queued_jobs=1)
    gate = tmp_path / "gate"
    await api.when(await api.submit(model_args={"until": str(gate)}), "running")
    await api.submit()
    body = request(model_args={"pretrained": str(checkpoint)}, lease="link")

    answer = await fetch(api, "POST", "/evaluate", json=body)

    gate.touch()
    assert answer.status == 429
    assert list(run.iterdir()) == [checkpoint]


async def test_a_lease_of_a_job_that_could_not_be_written_is_removed_later(
    api: Api, run: Path, checkpoint: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_sweep, "RECHECK_SECONDS", 0.05)
    other = await submitted(api, checkpoint, "mark")
    await api.finished(other)
    body = request(model_args={"pretrained": str(checkpoint)}, lease="link")

    with no_room_beyond(data_dir / f"{DATABASE_NAME}-wal"):
        answer = await fetch(api, "POST", "/evaluate", json=body)

    assert answer.status == 503
    await is_swept(run)


async def test_a_lease_that_cannot_be_put_on_record_is_to_be_asked_for_later(
    api: Api, checkpoint: Path, data_dir: Path
) -> None:
    (data_dir / "leases").touch()
    body = request(model_args={"pretrained": str(checkpoint)}, lease="link")

    answer = await fetch(api, "POST", "/evaluate", json=body)

    assert answer.status == 503
    assert "cannot keep the record of a lease right now" in answer.json["detail"]


async def test_a_batch_has_all_of_its_leases_or_none(
    api: Api, gate: Path, run: Path, checkpoint: Path
) -> None:
    good = request(model_args={"pretrained": str(checkpoint)}, lease="link")
    bad = request(model_args={"until": str(gate)}, lease="link")

    answer = await fetch(api, "POST", "/batches", json={"jobs": [good, bad]})

    assert [error["field"] for error in answer.json["errors"]] == ["jobs.1.lease"]
    assert list(run.iterdir()) == [checkpoint]
    await api.call("POST", "/batches", json={"jobs": [good, good]})
    assert len(list((run / ".evalserver-leases").iterdir())) == 2


async def test_a_lease_needs_a_checkpoint_in_an_allowed_directory(
    make_api: MakeApi, checkpoint: Path, run: Path
) -> None:
    api = await make_api(allow_path=())

    error = await refusal(api, model_args={"pretrained": str(checkpoint)}, lease="link")

    assert error["field"] == "model_args.pretrained"
    assert "--allow-path" in error["message"]
    assert list(run.iterdir()) == [checkpoint]


async def test_an_allowed_directory_cannot_itself_be_leased(
    make_api: MakeApi, checkpoint: Path
) -> None:
    api = await make_api(allow_path=(str(checkpoint),))

    error = await refusal(api, model_args={"pretrained": str(checkpoint)}, lease="link")

    assert "beside it" in error["message"]


async def test_a_link_to_a_file_elsewhere_is_not_kept(
    make_api: MakeApi, run: Path, checkpoint: Path, tmp_path: Path
) -> None:
    api = await make_api(allow_path=(str(run),))
    secret = tmp_path / "secret"
    secret.write_text("secret")
    (checkpoint / "weights").symlink_to(secret)

    error = await refusal(api, model_args={"pretrained": str(checkpoint)}, lease="link")

    assert "a link to a file elsewhere" in error["message"]
    assert list(run.iterdir()) == [checkpoint]


async def test_a_link_to_a_file_of_an_allowed_directory_keeps_that_file(
    make_api: MakeApi, run: Path, checkpoint: Path, tmp_path: Path
) -> None:
    api = await make_api(allow_path=(str(run),))
    (run / "blobs").mkdir()
    (run / "blobs" / "0a1b").write_text("weights")
    (checkpoint / "weights").symlink_to("../blobs/0a1b")
    gate = tmp_path / "gate"
    await api.submit(model_args={"until": str(gate)})

    job_id = await submitted(api, checkpoint, "link")

    leased = run / ".evalserver-leases" / job_id / checkpoint.name / "weights"
    assert leased.samefile(run / "blobs" / "0a1b")
    assert not leased.is_symlink()
    gate.touch()


async def test_a_link_to_a_directory_is_not_kept(api: Api, run: Path, checkpoint: Path) -> None:
    (checkpoint / "adapter").symlink_to(run)

    error = await refusal(api, model_args={"pretrained": str(checkpoint)}, lease="link")

    assert "symbolic link to a directory" in error["message"]


async def test_a_directory_of_leases_that_is_a_link_is_not_followed(
    api: Api, run: Path, checkpoint: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (run / ".evalserver-leases").symlink_to(elsewhere)

    await refusal(api, model_args={"pretrained": str(checkpoint)}, lease="link")

    assert list(elsewhere.iterdir()) == []


async def test_a_lease_needs_a_checkpoint_here(api: Api) -> None:
    error = await refusal(api, model_args={"pretrained": "org/model"}, lease="link")

    assert (error["field"], "model_args name none" in error["message"]) == ("lease", True)


@pytest.mark.parametrize("lease", ["link", "copy", "mark"])
async def test_a_lease_does_not_wait_for_a_checkpoint(
    api: Api, checkpoint: Path, lease: str
) -> None:
    args = {"pretrained": str(checkpoint)}

    error = await refusal(api, model_args=args, lease=lease, wait_for_path_s=60)

    assert (error["field"], "wait_for_path_s" in error["message"]) == ("lease", True)


async def test_a_checkpoint_to_merge_can_only_be_marked(
    api: Api, gate: Path, checkpoint: Path
) -> None:
    (checkpoint / "pytorch_model_fsdp_0").mkdir()
    (checkpoint / "pytorch_model_fsdp_0" / "shard").write_text("weights")
    merge = {"model_path": str(checkpoint)}

    error = await refusal(api, lmms_engine_kwargs=merge, lease="link")
    await api.submit(lmms_engine_kwargs=merge, lease="mark")

    assert error["field"] == "lease"
    assert is_leased(checkpoint)


async def test_other_file_systems_are_named_and_a_copy_is_not_made_unasked(
    api: Api, run: Path, checkpoint: Path, small_disks: list[Path]
) -> None:
    mount_small_disk(checkpoint / "sub")
    small_disks.append(checkpoint / "sub")
    (checkpoint / "sub" / "extra.bin").write_text("on another file system")

    error = await refusal(api, model_args={"pretrained": str(checkpoint)}, lease="link")

    assert "no hard links" in error["message"]
    assert "lease copy" in error["message"]
    assert list(run.iterdir()) == [checkpoint]


async def test_a_copy_for_which_the_disk_has_no_room_leaves_nothing(
    api: Api, tmp_path: Path, small_disks: list[Path]
) -> None:
    run = tmp_path / "small"
    run.mkdir()
    mount_small_disk(run)
    small_disks.append(run)
    checkpoint = run / "checkpoint-100"
    checkpoint.mkdir()
    (checkpoint / "model.safetensors").write_bytes(bytes(150_000))

    error = await refusal(api, model_args={"pretrained": str(checkpoint)}, lease="copy")

    assert "No space left" in error["message"]
    assert list(run.iterdir()) == [checkpoint]
