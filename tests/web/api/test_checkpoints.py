"""``GET /checkpoints``: which jobs need a path."""

import os
from pathlib import Path

import pytest

from tests.support import Api, Json, request
from tests.web.answers import fetch


@pytest.fixture
def checkpoint(run: Path) -> Path:
    """A checkpoint of the run."""
    place = run / "checkpoint-100"
    place.mkdir(parents=True)
    (place / "config.json").write_text("{}")
    (place / "model.safetensors").write_bytes(bytes(1024))
    return place


async def needs(api: Api, path: Path) -> list[Json]:
    """Return the jobs that need a path."""
    answer = await api.call("GET", "/checkpoints", params={"path": str(path)})
    assert answer["in_use"] is bool(answer["jobs"])
    return list(answer["jobs"])


async def submitted(api: Api, checkpoint: Path, **fields: object) -> str:
    """Submit an evaluation of the checkpoint."""
    return await api.submit(model_args={"pretrained": str(checkpoint)}, **fields)


async def test_a_queued_job_needs_its_checkpoint(api: Api, gate: Path, checkpoint: Path) -> None:
    job_id = await submitted(api, checkpoint, series="run", step=100)

    [need] = await needs(api, checkpoint)
    assert need == {
        "job_id": job_id, "status": "queued", "path": str(checkpoint), "relation": "same",
        "lease": None, "attempt": 0, "max_attempts": 2, "series": "run", "step": 100,
    }  # fmt: skip


async def test_a_job_needs_what_is_below_and_above_its_checkpoint(
    api: Api, gate: Path, run: Path, checkpoint: Path
) -> None:
    await submitted(api, checkpoint)

    found = [await needs(api, path) for path in (run, checkpoint / "model.safetensors")]
    assert [each[0]["relation"] for each in found] == ["below", "above"]


async def test_a_job_does_not_need_a_checkpoint_whose_name_begins_alike(
    api: Api, gate: Path, checkpoint: Path
) -> None:
    await submitted(api, checkpoint)

    assert await needs(api, checkpoint.with_name("checkpoint-1000")) == []
    assert await needs(api, checkpoint.with_name("checkpoint-10")) == []


async def test_a_job_needs_a_checkpoint_under_each_of_its_names(
    api: Api, gate: Path, run: Path, checkpoint: Path
) -> None:
    latest = run / "latest"
    latest.symlink_to(checkpoint)
    by_link = await submitted(api, latest)

    [need] = await needs(api, checkpoint)
    assert need["job_id"] == by_link
    assert await needs(api, latest) == [need]


async def test_a_job_that_has_ended_needs_nothing(api: Api, checkpoint: Path) -> None:
    await api.finished(await submitted(api, checkpoint))

    assert await needs(api, checkpoint) == []


async def test_a_job_that_merges_needs_the_checkpoint(
    api: Api, gate: Path, checkpoint: Path
) -> None:
    (checkpoint / "pytorch_model_fsdp_0").mkdir()
    (checkpoint / "pytorch_model_fsdp_0" / "shard").write_text("weights")
    job_id = await api.submit(lmms_engine_kwargs={"model_path": str(checkpoint)})

    assert [need["job_id"] for need in await needs(api, checkpoint)] == [job_id]


async def test_a_job_with_links_needs_these_instead_of_its_checkpoint(
    api: Api, gate: Path, run: Path, checkpoint: Path
) -> None:
    job_id = await submitted(api, checkpoint, lease="link")

    assert await needs(api, checkpoint) == []
    [need] = await needs(api, run)
    assert need["path"] == str(run / ".evalserver-leases" / job_id / "checkpoint-100")


async def test_all_jobs_are_listed_the_earliest_submission_first(
    api: Api, gate: Path, checkpoint: Path
) -> None:
    jobs = [await submitted(api, checkpoint, tasks=["mme"], seed=seed) for seed in range(60)]

    assert [need["job_id"] for need in await needs(api, checkpoint)] == jobs


@pytest.mark.parametrize("path", ["", "run/checkpoint-100", "/a\0b", "/" + "a" * 5000])
async def test_a_path_must_be_absolute_and_of_bounded_length(api: Api, path: str) -> None:
    answer = await fetch(api, "GET", "/checkpoints", params={"path": path})

    assert answer.status == 422
    assert [error["field"] for error in answer.json["errors"]] == ["path"]


async def test_a_path_that_cannot_exist_is_needed_by_nobody(
    api: Api, gate: Path, checkpoint: Path
) -> None:
    await submitted(api, checkpoint)

    assert await needs(api, Path("/" + "a" * 300)) == []
    assert await needs(api, Path(os.fsdecode(b"/\xc3\xa4"))) == []


async def test_a_dry_run_keeps_nothing(api: Api, run: Path, checkpoint: Path) -> None:
    body = request(model_args={"pretrained": str(checkpoint)}, lease="link")

    await api.call("POST", "/evaluate?dry_run=1", json=body)

    assert list(run.iterdir()) == [checkpoint]
