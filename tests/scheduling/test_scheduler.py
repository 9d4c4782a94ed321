"""The scheduler with real processes: the order of jobs, and every way in which one can end."""

import uuid
from pathlib import Path

import psutil
import pytest

from evalserver.attempts.launch import Planner
from evalserver.core.job import Job
from evalserver.runner.files import LOG_FILE
from evalserver.store import JobStore
from tests.conftest import MakeApi
from tests.support import WAIT_SECONDS, Api, Json, harness_of, until


async def test_jobs_run_one_after_another_in_the_order_of_submission(
    api: Api, tmp_path: Path
) -> None:
    journal = tmp_path / "journal"
    names = ["first", "second", "third"]
    jobs = [await api.submit(model_args={"journal": str(journal), "name": each}) for each in names]

    await api.finished(jobs[-1])

    assert journal.read_text().split("\n")[:-1] == [
        line for name in names for line in (f"start {name}", f"end {name}")
    ]


async def test_a_higher_priority_runs_before_an_earlier_submission(
    api: Api, tmp_path: Path
) -> None:
    journal = str(tmp_path / "journal")
    hanging = await api.submit(model_args={"behave": "hang"})
    usual = await api.submit(model_args={"journal": journal, "name": "usual"})
    await api.submit(model_args={"journal": journal, "name": "urgent"}, priority=1)

    await api.call("DELETE", f"/jobs/{hanging}")
    await api.finished(usual)

    assert Path(journal).read_text().startswith("start urgent\nend urgent\n")


ENDS: dict[str, tuple[Json, str, str]] = {
    "crash": ({"behave": "crash"}, "failed", "return code 1: RuntimeError: the stand-in"),
    "exit code": ({"behave": "exit", "code": 7}, "failed", "return code 7"),
    "no results": ({"behave": "no_results"}, "failed", "exited with 0 but wrote no results file"),
    "no numbers": ({"behave": "no_numbers"}, "failed", "results have no number"),
    "100 MB of output": ({"behave": "flood"}, "completed", ""),
    "no newline": ({"behave": "no_newline"}, "completed", ""),
    "silence": ({"behave": "silent", "seconds": 0.5}, "completed", ""),
}


@pytest.mark.parametrize(("model_args", "status", "error"), ENDS.values(), ids=ENDS.keys())
async def test_the_status_of_a_job_follows_from_how_its_evaluation_ended(
    api: Api, model_args: Json, status: str, error: str
) -> None:
    job = await api.finished(await api.submit(model_args=model_args))

    assert job["status"] == status
    assert error in (job["error"] or "").partition("\n")[0]


async def test_a_job_that_takes_longer_than_its_timeout_is_stopped(api: Api) -> None:
    job = await api.finished(await api.submit(model_args={"behave": "hang"}, timeout_s=0.5))

    assert job["error"].startswith("The evaluation was stopped: it took longer than 0.5 s")


async def test_a_cancelled_job_leaves_no_hidden_process(api: Api, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    job_id = await api.submit(model_args={"behave": "hide", "pid_file": str(pid_file)})

    async def hidden() -> str:
        return pid_file.read_text() if pid_file.exists() else ""

    pid = int(await until(hidden))
    await api.call("DELETE", f"/jobs/{job_id}")
    await api.finished(job_id)

    assert not _is_running(pid)


async def test_a_lost_runner_leads_to_a_second_attempt(api: Api) -> None:
    job_id = await api.submit(model_args={"seconds": 2})
    await _kill_the_runner(api, job_id)

    job = await api.finished(job_id)

    assert (job["status"], job["attempt"]) == ("completed", 2)


async def test_a_cancel_during_a_loss_stops_the_next_attempt(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = await api.submit(model_args={"behave": "hang"})
    await api.when(job_id, "running")
    request_cancel = JobStore.request_cancel

    async def after_a_loss(self: JobStore, *args: str) -> None:
        await _kill_the_runner(api, job_id)
        await until(lambda: _runs_its_second_attempt(api, job_id))
        await request_cancel(self, *args)

    monkeypatch.setattr(JobStore, "request_cancel", after_a_loss)
    await api.call("DELETE", f"/jobs/{job_id}")

    job = await api.finished(job_id)
    assert (job["status"], job["attempt"]) == ("cancelled", 2)


async def _runs_its_second_attempt(api: Api, job_id: str) -> bool:
    job = await api.job(job_id)
    return (job["status"], job["attempt"]) == ("running", 2)


async def test_losing_the_runner_of_the_last_attempt_fails_the_job(api: Api) -> None:
    job_id = await api.submit(model_args={"behave": "hang"}, max_attempts=1)
    await _kill_the_runner(api, job_id)

    job = await api.finished(job_id)

    assert job["error"].startswith("The runner of attempt 1 of 1 was lost: it was killed.")


async def test_a_lost_runner_leaves_no_process_of_its_evaluation(api: Api) -> None:
    job_id = await api.submit(model_args={"behave": "hang"}, max_attempts=1)
    harness = await _kill_the_runner(api, job_id)

    await api.finished(job_id)

    assert not _is_running(harness)


async def test_the_files_of_a_lost_attempt_are_masked(api: Api) -> None:
    secret = "quite-a-secret"  # noqa: S105 - the test's own
    args = {"behave": "hang", "api_key": secret}
    job_id = await api.submit(model_args=args, max_attempts=1)
    await harness_of(job_id)
    file = Path((await api.job(job_id))["output_dir"]) / "partial.json"
    file.write_text(f"api_key: {secret}")

    await _kill_the_runner(api, job_id)
    await api.finished(job_id)

    assert secret not in file.read_text()


async def test_an_attempt_that_is_lost_after_a_cancel_is_not_tried_again(make_api: MakeApi) -> None:
    api = await make_api(cancel_grace=WAIT_SECONDS)
    job_id = await api.submit(model_args={"behave": "stubborn"}, max_attempts=2)
    run_dir = Path((await api.wait_for_harness(job_id))["run_dir"])
    await until(lambda: _has_printed(run_dir, "ignores TERM now"))
    await api.call("DELETE", f"/jobs/{job_id}")

    await _kill_the_runner(api, job_id)

    job = await api.finished(job_id)
    assert (job["status"], job["attempt"]) == ("cancelled", 1)


async def test_an_internal_error_leaves_no_evaluation_running(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Planner, job: Job) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(Planner, "progress_reader", fail)

    job = await api.finished(await api.submit(model_args={"behave": "hang"}))

    assert (job["status"], "a fault of ours" in job["error"]) == ("failed", True)


async def test_finished_jobs_beyond_the_maximum_are_pruned_with_their_files(
    make_api: MakeApi, data_dir: Path
) -> None:
    api = await make_api(max_completed_jobs=2)
    jobs = [await api.submit() for _ in range(4)]

    await api.finished(jobs[-1])

    async def only_the_newest_are_there() -> bool:
        # The record goes first, and the files right after it.
        folders = (data_dir / "runs").iterdir()
        return {folder.name.removeprefix("lmms_eval_") for folder in folders} == set(jobs[2:])

    await until(only_the_newest_are_there)


async def test_a_start_removes_only_directories_of_pruned_jobs(
    make_api: MakeApi, data_dir: Path
) -> None:
    foreign = data_dir / "runs" / f"experiment-{uuid.uuid4()}"
    foreign.mkdir(parents=True)

    await make_api()

    assert foreign.exists()


async def test_pruning_keeps_a_directory_that_the_client_named(
    make_api: MakeApi, tmp_path: Path
) -> None:
    api = await make_api(max_completed_jobs=1)
    named = tmp_path / "named"
    pruned = await api.submit(output_dir=str(named))

    await api.finished(await api.submit())

    await api.call("GET", f"/jobs/{pruned}", 410)
    assert list(named.rglob("*_results.json"))


async def test_two_jobs_with_one_output_dir_get_their_own_results(api: Api, tmp_path: Path) -> None:
    named = str(tmp_path / "named")
    await api.submit(output_dir=named)

    second = await api.submit(output_dir=named, model_args={"behave": "no_results"})

    assert (await api.finished(second))["status"] == "failed"


def _is_running(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


async def _has_printed(run_dir: Path, words: str) -> bool:
    log = run_dir / LOG_FILE
    return log.exists() and words in log.read_text()


async def _kill_the_runner(api: Api, job_id: str) -> int:
    """Kill the job's runner once its harness runs; return the pid of the harness."""
    harness = await harness_of(job_id)
    psutil.Process(harness.ppid()).kill()
    return int(harness.pid)
