"""Merging sharded checkpoints, on request and before an evaluation."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import psutil
import pytest

from evalserver.executors.run_files import runner_pid
from tests.checkpoints_in_shards import EMA, REGULAR, in_shards, merges_of
from tests.support import Json, ServerProcess, harness_of, stand_in_environment, until


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[ServerProcess]:
    """A server that is allowed to read the test's checkpoints beside its data directory."""
    options = ("--cancel-grace", "1", "--allow-path", str(tmp_path / "checkpoints"))
    server = ServerProcess(tmp_path / "data", *options, environment=stand_in_environment())
    async with server:
        yield server


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """The path of the test's checkpoint."""
    return tmp_path / "checkpoints" / "checkpoint-100"


async def merge(lab: ServerProcess, checkpoint: Path, status: int = 200, **fields: str) -> Json:
    """Request a merge, and wait for it."""
    body = {"checkpoint_path": str(checkpoint), **fields}
    answer: Json = await lab.api.call("POST", "/merge", status, json=body)
    return answer


async def evaluate(lab: ServerProcess, checkpoint: Path, **fields: object) -> str:
    """Submit an evaluation of a checkpoint that has to be merged first."""
    kwargs = {"model_path": str(checkpoint), **fields}
    return await lab.api.submit(
        model_args={"model": str(checkpoint)}, lmms_engine_kwargs=kwargs, max_attempts=2
    )


async def merge_begun(checkpoint: Path) -> None:
    """Wait until the merge of a checkpoint has begun."""

    async def has_begun() -> bool:
        return bool(merges_of(checkpoint))

    await until(has_begun)


async def test_a_merge_returns_the_path_of_the_merged_checkpoint(
    lab: ServerProcess, checkpoint: Path
) -> None:
    answer = await merge(lab, in_shards(checkpoint))

    assert (answer["success"], answer["merged_path"]) == (True, str(checkpoint))
    assert (checkpoint / "model.safetensors").read_text().startswith(f"{REGULAR} weights 0")


async def test_a_merge_is_a_job_of_the_merge_engine(lab: ServerProcess, checkpoint: Path) -> None:
    answer = await merge(lab, in_shards(checkpoint))

    [job] = (await lab.api.call("GET", "/jobs?engine=merge"))["jobs"]
    assert job["job_id"] == answer["job_id"]
    assert (job["status"], job["request"]["tasks"]) == ("completed", ["merge"])
    assert job["result"][str(checkpoint)]["results"] == str(checkpoint)


async def test_other_weights_are_written_to_the_requested_path(
    lab: ServerProcess, checkpoint: Path
) -> None:
    output = checkpoint.with_name("merged")

    answer = await merge(
        lab, in_shards(checkpoint, ema=True), checkpoint_type="ema", output_path=str(output)
    )

    assert answer["merged_path"] == str(output)
    assert (output / "model.safetensors").read_text().startswith(EMA)


async def test_a_directory_of_checkpoints_means_the_newest_one(
    lab: ServerProcess, checkpoint: Path
) -> None:
    run = checkpoint.parent
    for step in (90, 1000, 200):
        in_shards(run / f"checkpoint-{step}")

    await merge(lab, run)

    assert merges_of(run / "checkpoint-1000") == ["regular"]


async def test_a_merged_checkpoint_is_not_merged_again(
    lab: ServerProcess, checkpoint: Path
) -> None:
    in_shards(checkpoint)
    await merge(lab, checkpoint)

    await merge(lab, checkpoint)

    assert merges_of(checkpoint) == ["regular"]


@pytest.mark.parametrize(
    "changed", [f"{REGULAR}/model_world_size_2_rank_1.pt", "model.safetensors"]
)
async def test_a_changed_checkpoint_is_merged_again(
    lab: ServerProcess, checkpoint: Path, changed: str
) -> None:
    in_shards(checkpoint)
    await merge(lab, checkpoint)
    (checkpoint / changed).write_text("something else")

    await merge(lab, checkpoint)

    assert merges_of(checkpoint) == ["regular", "regular"]


async def test_a_missing_checkpoint_is_404_at_once(lab: ServerProcess, checkpoint: Path) -> None:
    problem = await merge(lab, checkpoint, 404)

    assert str(checkpoint) in problem["detail"]
    assert (await lab.api.call("GET", "/jobs"))["jobs"] == []


async def test_a_path_with_too_long_a_name_is_not_a_checkpoint(
    lab: ServerProcess, checkpoint: Path
) -> None:
    too_long = in_shards(checkpoint) / ("x" * 300)
    body = {"model": "dummy", "tasks": ["mme"], "lmms_engine_kwargs": {"model_path": str(too_long)}}

    await merge(lab, too_long, 404)
    problem = await lab.api.call("POST", "/evaluate", 422, json=body)

    assert [fault["field"] for fault in problem["errors"]] == ["lmms_engine_kwargs.model_path"]


async def test_a_checkpoint_without_shards_is_422_and_names_what_is_missing(
    lab: ServerProcess, checkpoint: Path
) -> None:
    in_shards(checkpoint)

    problem = await merge(lab, checkpoint, 422, checkpoint_type="ema")

    [fault] = problem["errors"]
    assert (fault["field"], EMA in fault["message"]) == ("checkpoint_path", True)


@pytest.mark.parametrize("field", ["checkpoint_path", "output_path"])
async def test_a_disallowed_path_is_422_and_names_the_option(
    lab: ServerProcess, checkpoint: Path, tmp_path: Path, field: str
) -> None:
    outside = in_shards(tmp_path / "elsewhere")
    in_shards(checkpoint)
    body = {"checkpoint_path": str(checkpoint), field: str(outside)}

    problem = await lab.api.call("POST", "/merge", 422, json=body)

    [fault] = problem["errors"]
    assert (fault["field"], "--allow-path" in fault["message"]) == (field, True)


async def test_a_link_redirected_outside_after_submission_is_detected_at_the_start(
    lab: ServerProcess, checkpoint: Path, tmp_path: Path
) -> None:
    before = in_shards(checkpoint.with_name("before"), until=str(tmp_path / "go"))
    in_shards(checkpoint)
    first = await evaluate(lab, before)
    await lab.api.wait_for_harness(first)
    second = await evaluate(lab, checkpoint)
    checkpoint.rename(checkpoint.with_name("moved"))
    checkpoint.symlink_to(in_shards(tmp_path / "elsewhere"))
    (tmp_path / "go").touch()

    job = await lab.api.finished(second)

    assert job["status"] == "failed"
    assert "lmms_engine_kwargs.model_path" in job["error"]
    assert merges_of(tmp_path / "elsewhere") == []


async def test_a_failed_merge_is_500_with_its_reason(lab: ServerProcess, checkpoint: Path) -> None:
    in_shards(checkpoint, behave="fail")

    problem = await merge(lab, checkpoint, 500)

    assert "ValueError: the shards do not fit together" in problem["detail"]


async def test_a_merge_without_output_fails(lab: ServerProcess, checkpoint: Path) -> None:
    in_shards(checkpoint, behave="nothing")
    for left_by_training in ("config.json", "optimizer.pt", "training_args.bin"):
        (checkpoint / left_by_training).touch()

    problem = await merge(lab, checkpoint, 500)

    assert "left no config.json" in problem["detail"]


async def test_shards_modified_during_a_merge_fail_it(lab: ServerProcess, checkpoint: Path) -> None:
    problem = await merge(lab, in_shards(checkpoint, behave="overwritten"), 500)

    assert "was written to while it was merged" in problem["detail"]


async def test_a_client_that_does_not_wait_gets_the_jobs_location(
    lab: ServerProcess, checkpoint: Path
) -> None:
    queued = await lab.api.call(
        "POST",
        "/merge",
        202,
        json={"checkpoint_path": str(in_shards(checkpoint))},
        headers={"Prefer": "respond-async"},
    )

    assert (await lab.api.finished(queued["job_id"]))["status"] == "completed"


async def test_a_cancelled_merge_is_409_for_waiting_clients(
    lab: ServerProcess, checkpoint: Path, tmp_path: Path
) -> None:
    in_shards(checkpoint, until=str(tmp_path / "never"))
    waiting = asyncio.create_task(merge(lab, checkpoint, 409))
    await merge_begun(checkpoint)
    [job] = (await lab.api.call("GET", "/jobs"))["jobs"]

    await lab.api.call("DELETE", f"/jobs/{job['job_id']}")

    assert "cancelled" in (await waiting)["detail"]


async def test_a_merge_continues_when_the_server_is_killed(
    lab: ServerProcess, checkpoint: Path, tmp_path: Path
) -> None:
    in_shards(checkpoint, until=str(tmp_path / "go"))
    asked = {"json": {"checkpoint_path": str(checkpoint)}, "headers": {"Prefer": "respond-async"}}
    queued = await lab.api.call("POST", "/merge", 202, **asked)
    await merge_begun(checkpoint)

    lab.kill()
    await lab.start()
    (tmp_path / "go").touch()

    job = await lab.api.finished(queued["job_id"])
    assert (job["status"], job["attempt"], merges_of(checkpoint)) == ("completed", 1, ["regular"])


async def test_an_evaluation_uses_the_merged_checkpoint(
    lab: ServerProcess, checkpoint: Path
) -> None:
    output = checkpoint.with_name("merged")
    job_id = await evaluate(lab, in_shards(checkpoint), output_path=str(output))

    job = await lab.api.finished(job_id)

    assert job["status"] == "completed", job["error"]
    assert f"--model_args=model={output}" in job["provenance"]["command"]
    assert merges_of(checkpoint) == ["regular"]


async def test_the_log_contains_both_stages(lab: ServerProcess, checkpoint: Path) -> None:
    job_id = await evaluate(lab, in_shards(checkpoint))
    job = await lab.api.finished(job_id)

    log = Path(job["run_dir"], "eval.log").read_text()

    assert log.index("evalserver: merging the checkpoint") < log.index("Loading shards")
    assert log.index("Loading shards") < log.index("evalserver: evaluating")
    assert log.index("evalserver: evaluating") < log.index("stand-in runs as")


async def test_progress_starts_with_the_merge(
    lab: ServerProcess, checkpoint: Path, tmp_path: Path
) -> None:
    in_shards(checkpoint, until=str(tmp_path / "go"))
    job_id = await evaluate(lab, checkpoint)

    async def loads() -> bool:
        progress = (await lab.api.job(job_id))["progress"]
        return bool(progress and progress["stage"] == "Loading shards")

    await until(loads)
    (tmp_path / "go").touch()

    assert (await lab.api.finished(job_id))["status"] == "completed"


async def test_a_failed_merge_fails_the_evaluation_before_it_starts(
    lab: ServerProcess, checkpoint: Path
) -> None:
    job_id = await evaluate(lab, in_shards(checkpoint, behave="fail"))

    job = await lab.api.finished(job_id)

    assert (job["status"], job["exit_code"], job["attempt"]) == ("failed", 1, 1)
    assert job["error"].startswith("It ended while merging the checkpoint.")
    assert "ValueError: the shards do not fit together" in job["error"].splitlines()[0]
    assert "stand-in runs as" not in job["error"]


async def test_two_evaluations_of_one_checkpoint_merge_it_once(
    lab: ServerProcess, checkpoint: Path
) -> None:
    in_shards(checkpoint)
    jobs = [await evaluate(lab, checkpoint) for _ in range(2)]

    ended = [(await lab.api.finished(job_id))["status"] for job_id in jobs]

    assert (ended, merges_of(checkpoint)) == (["completed"] * 2, ["regular"])


async def test_merging_into_the_checkpoint_itself_changes_no_weights(
    lab: ServerProcess, checkpoint: Path
) -> None:
    job_id = await evaluate(lab, in_shards(checkpoint))

    job = await lab.api.finished(job_id)

    [result] = job["result"].values()
    assert not result.get("weights_changed")


async def test_shards_overwritten_during_the_evaluation_are_flagged(
    lab: ServerProcess, checkpoint: Path, tmp_path: Path
) -> None:
    kwargs = {"model_path": str(in_shards(checkpoint))}
    gate = {"behave": "bars", "gate": str(tmp_path / "gate")}
    job_id = await lab.api.submit(model_args=gate, lmms_engine_kwargs=kwargs)
    await harness_running(lab, job_id)
    in_shards(checkpoint, weights="others")
    (tmp_path / "gate").touch()

    job = await lab.api.finished(job_id)

    assert job["provenance"]["weights_changed"] is True, job["error"]


async def test_a_cancel_stops_the_merge_and_skips_the_evaluation(
    lab: ServerProcess, checkpoint: Path, tmp_path: Path
) -> None:
    in_shards(checkpoint, until=str(tmp_path / "never"))
    job_id = await evaluate(lab, checkpoint)
    await merge_begun(checkpoint)
    merger = await harness_of(job_id)

    await lab.api.call("DELETE", f"/jobs/{job_id}")
    job = await lab.api.finished(job_id)

    assert job["status"] == "cancelled"
    assert not psutil.pid_exists(merger.pid)
    assert "evalserver: evaluating" not in Path(job["run_dir"], "eval.log").read_text()


async def test_the_time_limit_covers_both_stages_together(
    lab: ServerProcess, checkpoint: Path, tmp_path: Path
) -> None:
    in_shards(checkpoint, until=str(tmp_path / "never"))
    job_id = await lab.api.submit(lmms_engine_kwargs={"model_path": str(checkpoint)}, timeout_s=1)

    job = await lab.api.finished(job_id)

    assert "It ended while merging the checkpoint. The evaluation was stopped" in job["error"]


async def test_an_evaluation_proceeds_from_its_merge_when_the_server_is_killed(
    lab: ServerProcess, checkpoint: Path, tmp_path: Path
) -> None:
    in_shards(checkpoint, until=str(tmp_path / "go"))
    job_id = await evaluate(lab, checkpoint)
    await merge_begun(checkpoint)

    lab.kill()
    (tmp_path / "go").touch()
    await lab.start()

    job = await lab.api.finished(job_id)
    assert (job["status"], job["attempt"], merges_of(checkpoint)) == ("completed", 1, ["regular"])


async def test_a_checkpoint_may_still_be_written_when_it_is_submitted(
    lab: ServerProcess, checkpoint: Path
) -> None:
    job_id = await lab.api.submit(
        lmms_engine_kwargs={"model_path": str(checkpoint)}, wait_for_path_s=100
    )

    in_shards(checkpoint)

    assert (await lab.api.finished(job_id))["status"] == "completed"


async def test_missing_shards_are_rejected(lab: ServerProcess, checkpoint: Path) -> None:
    body = {
        "model": "dummy",
        "tasks": ["mme"],
        "lmms_engine_kwargs": {"model_path": str(checkpoint)},
    }

    problem = await lab.api.call("POST", "/evaluate", 422, json=body)

    assert [fault["field"] for fault in problem["errors"]] == ["lmms_engine_kwargs.model_path"]


async def test_a_dry_run_shows_both_commands(lab: ServerProcess, checkpoint: Path) -> None:
    kwargs = {"model_path": str(in_shards(checkpoint))}
    body = {"model": "dummy", "tasks": ["mme"], "lmms_engine_kwargs": kwargs}

    plan = await lab.api.call("POST", "/evaluate?dry_run=1", json=body)

    [(stage, command)] = plan["before"].items()
    assert stage == "merging the checkpoint"
    assert f"--shards={checkpoint / REGULAR}" in command
    assert f"--model_args=pretrained={checkpoint}" in plan["command"]


@pytest.mark.parametrize("name", ["n" * 300, "n/" * 950])
async def test_an_invalid_file_name_is_not_a_checkpoint(
    lab: ServerProcess, tmp_path: Path, name: str
) -> None:
    nowhere = f"{tmp_path}/checkpoints/{name}"
    (tmp_path / "checkpoints").mkdir()
    body = {"model": "dummy", "tasks": ["mme"]}

    await lab.api.call("POST", "/merge", 404, json={"checkpoint_path": nowhere})
    for there in (
        {"lmms_engine_kwargs": {"model_path": nowhere}},
        {"model_args": {"pretrained": nowhere}},
    ):
        await lab.api.call("POST", "/evaluate", 422, json={**body, **there})
        await lab.api.call("POST", "/evaluate?validate=false", json={**body, **there})


async def test_a_merge_has_the_time_limit_of_the_server(tmp_path: Path, checkpoint: Path) -> None:
    in_shards(checkpoint, until=str(tmp_path / "never"))
    options = ("--allow-path", str(tmp_path), "--default-timeout", "1")
    async with ServerProcess(tmp_path / "data", *options) as server:
        problem = await merge(server, checkpoint, 500)

    assert "longer than 1 s" in problem["detail"]


async def test_a_disconnecting_client_does_not_stop_the_merge(
    lab: ServerProcess, checkpoint: Path, tmp_path: Path
) -> None:
    in_shards(checkpoint, until=str(tmp_path / "go"))
    waiting = asyncio.create_task(merge(lab, checkpoint))
    await merge_begun(checkpoint)

    waiting.cancel()
    await asyncio.wait([waiting])
    (tmp_path / "go").touch()

    [job] = (await lab.api.call("GET", "/jobs"))["jobs"]
    assert (await lab.api.finished(job["job_id"]))["status"] == "completed"


async def test_a_merge_whose_runner_is_killed_is_repeated(
    lab: ServerProcess, checkpoint: Path, tmp_path: Path
) -> None:
    in_shards(checkpoint, until=str(tmp_path / "go"))
    job_id = await evaluate(lab, checkpoint)
    await merge_begun(checkpoint)
    runner = runner_pid(Path((await lab.api.job(job_id))["run_dir"]))
    assert runner is not None
    psutil.Process(runner).kill()
    (tmp_path / "go").touch()

    job = await lab.api.finished(job_id)

    assert (job["status"], job["attempt"]) == ("completed", 2), job["error"]
    assert (checkpoint / "model.safetensors").is_file()


async def test_an_evaluation_whose_runner_is_killed_is_not_merged_again(
    lab: ServerProcess, checkpoint: Path
) -> None:
    kwargs = {"model_path": str(in_shards(checkpoint))}
    job_id = await lab.api.submit(model_args={"behave": "hang"}, lmms_engine_kwargs=kwargs)
    await harness_running(lab, job_id)
    runner = runner_pid(Path((await lab.api.job(job_id))["run_dir"]))
    assert runner is not None
    psutil.Process(runner).kill()
    await until(lambda: is_in_attempt(lab, job_id, 2))
    await harness_running(lab, job_id)

    await lab.api.call("DELETE", f"/jobs/{job_id}")
    job = await lab.api.finished(job_id)

    assert (job["status"], job["attempt"], merges_of(checkpoint)) == ("cancelled", 2, ["regular"])


async def test_an_evaluation_continues_when_the_server_is_killed_after_the_merge(
    lab: ServerProcess, checkpoint: Path
) -> None:
    kwargs = {"model_path": str(in_shards(checkpoint))}
    job_id = await lab.api.submit(model_args={"behave": "hang"}, lmms_engine_kwargs=kwargs)
    await harness_running(lab, job_id)

    lab.kill()
    await lab.start()
    await until(lab.is_reattached)

    assert (await lab.api.job(job_id))["attempt"] == 1
    await lab.api.call("DELETE", f"/jobs/{job_id}")
    job = await lab.api.finished(job_id)
    assert (job["status"], merges_of(checkpoint)) == ("cancelled", ["regular"])


async def test_a_failed_merge_can_be_retried(lab: ServerProcess, checkpoint: Path) -> None:
    job_id = await evaluate(lab, in_shards(checkpoint, behave="fail"))
    await lab.api.finished(job_id)
    (checkpoint / "behave.json").unlink()

    await lab.api.call("POST", f"/jobs/{job_id}/retry")

    job = await lab.api.finished(job_id)
    assert (job["status"], job["attempt"]) == ("completed", 2), job["error"]


async def test_an_output_path_redirected_outside_is_not_written_to(
    lab: ServerProcess, checkpoint: Path, tmp_path: Path
) -> None:
    before = in_shards(checkpoint.with_name("before"), until=str(tmp_path / "go"))
    await lab.api.wait_for_harness(await evaluate(lab, before))
    output, elsewhere = checkpoint.with_name("merged"), tmp_path / "elsewhere"
    output.mkdir()
    elsewhere.mkdir()
    job_id = await evaluate(lab, in_shards(checkpoint), output_path=str(output))
    output.rmdir()
    output.symlink_to(elsewhere)
    (tmp_path / "go").touch()

    job = await lab.api.finished(job_id)

    assert (job["status"], list(elsewhere.iterdir())) == ("failed", [])
    assert "lmms_engine_kwargs.output_path" in job["error"]


async def test_two_servers_merge_into_one_directory_in_turn(
    lab: ServerProcess, checkpoint: Path, tmp_path: Path
) -> None:
    in_shards(checkpoint, until=str(tmp_path / "go"))
    options = ("--cancel-grace", "1", "--allow-path", str(checkpoint.parent))
    async with ServerProcess(tmp_path / "other", *options) as other:
        first = asyncio.create_task(merge(lab, checkpoint))
        await merge_begun(checkpoint)
        second = asyncio.create_task(merge(other, checkpoint))
        [job] = await until(lambda: jobs_of(other))
        await other.api.wait_for_harness(job["job_id"])
        (tmp_path / "go").touch()

        answers = [await first, await second]

    assert [answer["success"] for answer in answers] == [True, True]
    assert merges_of(checkpoint) == ["regular"]


async def test_a_merge_has_no_metrics_samples_or_files(
    lab: ServerProcess, checkpoint: Path
) -> None:
    job_id = (await merge(lab, in_shards(checkpoint)))["job_id"]
    path = f"/jobs/{job_id}"

    results = await lab.api.call("GET", f"{path}/results")
    samples = await lab.api.call("GET", f"{path}/samples/merge", 404)
    artifacts = await lab.api.call("GET", f"{path}/artifacts")

    assert (results["results"], artifacts["artifacts"]) == ([], [])
    assert "no samples" in samples["detail"]


@pytest.mark.parametrize(
    "page", ["/ui/jobs/{job}", "/ui/jobs", "/", "/ui/trends", "/ui/compare?job={job}"]
)
async def test_pages_show_merges(lab: ServerProcess, checkpoint: Path, page: str) -> None:
    job_id = (await merge(lab, in_shards(checkpoint)))["job_id"]

    async with aiohttp.ClientSession() as session:
        answer = await session.get(lab.url + page.format(job=job_id))

    assert answer.status == 200, await answer.text()


async def test_comparing_a_merge_with_an_evaluation_finds_no_common_metrics(
    lab: ServerProcess, checkpoint: Path
) -> None:
    merged = (await merge(lab, in_shards(checkpoint)))["job_id"]
    evaluated = await lab.api.submit()
    await lab.api.finished(evaluated)

    compared = await lab.api.call("GET", f"/compare?job={evaluated}&job={merged}")

    values = [value for row in compared["rows"] for value in row["values"]]
    assert {value["value"] for value in values if value["job_id"] == merged} == {None}
    assert {value["difference"] for value in values} == {None}


async def jobs_of(server: ServerProcess) -> list[Json]:
    """All jobs of a server."""
    jobs: list[Json] = (await server.api.call("GET", "/jobs"))["jobs"]
    return jobs


async def is_in_attempt(lab: ServerProcess, job_id: str, number: int) -> bool:
    """Whether the job has reached this attempt."""
    return bool((await lab.api.job(job_id))["attempt"] == number)


async def harness_running(lab: ServerProcess, job_id: str) -> None:
    """Wait until the job's harness itself runs."""

    async def runs() -> bool:
        run_dir = (await lab.api.job(job_id))["run_dir"]
        log = Path(run_dir or "/nowhere", "eval.log")
        return log.exists() and "stand-in runs as" in log.read_text()

    await until(runs)
