"""The outcome of a job from the end of its attempt, and the text of failures."""

import json
import shutil
import socket
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path

import pytest

from evalserver.attempts.failures import CODES
from evalserver.attempts.outcome import MAX_ERROR_BYTES, failed, judge, lost
from evalserver.core.job import Job, Outcome
from evalserver.core.lifecycle import Status
from evalserver.core.request import EvaluateRequest
from evalserver.engines import Paths, make_engines
from evalserver.executors import AttemptInfo, Exit, ExitReason, Lost
from evalserver.runner.files import LOG_FILE
from evalserver.version import __version__

DATA = Path(__file__).parents[1] / "engines" / "data"
RESULTS = DATA / "lmms_dummy"
DOCUMENTS = 64
"""That the recorded evaluation scored."""
ENGINE = make_engines("python3", None)["lmms_eval"]
INFO = AttemptInfo(argv=("lmms_eval",))
STARTED, ENDED = "2026-01-01T00:00:00.000+00:00", "2026-01-01T00:01:00.000+00:00"

JOB = Job(
    seq=1,
    job_id="7f1b2a52-7f5e-4d4c-9c39-0c8e1e7a3c11",
    status=Status.RUNNING,
    engine="lmms_eval",
    priority=0,
    labels={},
    request=EvaluateRequest(model="dummy", tasks=("digits_vqa",), timeout_s=90.0),
    submitted_by="somebody",
    created_at=STARTED,
    started_at=STARTED,
    completed_at=None,
    cancel_requested_at=None,
    attempt=2,
    max_attempts=2,
    run_dir=None,
    output_dir=None,
    exit_code=None,
    error=None,
    result=None,
    provenance=None,
    event_id=7,
)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """The paths of an attempt that has written nothing yet."""
    paths = Paths(tmp_path, tmp_path / "output", tmp_path / "cache")
    paths.output_dir.mkdir()
    return paths


def leave_results(paths: Paths) -> None:
    """Leave what lmms-eval wrote; only its first samples were recorded, so they are repeated."""
    shutil.copytree(RESULTS, paths.output_dir, dirs_exist_ok=True)
    [samples] = paths.output_dir.glob("*_samples_*.jsonl")
    lines = samples.read_text().splitlines(keepends=True)
    samples.write_text("".join(islice(cycle(lines), DOCUMENTS)))


def end(reason: ExitReason, code: int | None, error: str | None = None) -> Exit:
    """How an attempt ended."""
    return Exit(reason, code, STARTED, ENDED, error=error)


def outcome_of(
    paths: Paths, reason: ExitReason, code: int | None, error: str | None = None
) -> Outcome:
    """The job's outcome when its attempt ended like this."""
    return judge(JOB, ENGINE, paths, end(reason, code, error), INFO, max_failed_requests=0.05)


def headline(outcome: Outcome) -> str:
    """The first line of a failure's error."""
    assert outcome.error is not None
    return outcome.error.partition("\n")[0]


def test_an_exit_of_0_with_results_completes_the_job(paths: Paths) -> None:
    leave_results(paths)

    outcome = outcome_of(paths, ExitReason.EXITED, 0)

    assert (outcome.status, outcome.exit_code, outcome.error) == (Status.COMPLETED, 0, None)
    assert outcome.completed_at == ENDED
    assert [metric.value for metric in outcome.metrics] == [0.109375]
    assert outcome.result is not None
    assert list(outcome.result) == ["dummy"]


def test_an_exit_of_0_without_results_fails_the_job(paths: Paths) -> None:
    outcome = outcome_of(paths, ExitReason.EXITED, 0)

    assert (outcome.status, outcome.exit_code) == (Status.FAILED, 0)
    assert headline(outcome) == "The harness exited with 0 but wrote no results file"


def test_an_exit_of_0_with_empty_results_fails_the_job(paths: Paths) -> None:
    (paths.output_dir / "20260101_000000_results.json").write_text('{"results": {}}')

    outcome = outcome_of(paths, ExitReason.EXITED, 0)

    assert outcome.status is Status.FAILED
    assert "The harness's results say nothing about digits_vqa" in headline(outcome)


def test_a_failed_harness_with_results_fails_the_job(paths: Paths) -> None:
    leave_results(paths)

    outcome = outcome_of(paths, ExitReason.EXITED, 1)

    assert (outcome.status, outcome.result) == (Status.FAILED, None)
    assert headline(outcome) == "The evaluation failed with return code 1"


def test_a_cancelled_attempt_with_results_gives_a_cancelled_job(paths: Paths) -> None:
    leave_results(paths)

    outcome = outcome_of(paths, ExitReason.CANCELLED, 143)

    assert (outcome.status, outcome.exit_code, outcome.error) == (Status.CANCELLED, 143, None)
    assert (outcome.result, outcome.metrics) == (None, ())


FAILURES = {
    "exit code": (ExitReason.EXITED, 7, "The evaluation failed with return code 7"),
    "signal": (ExitReason.EXITED, 137, "The harness was killed by signal 9 (exit code 137)"),
    "128 is no signal": (ExitReason.EXITED, 128, "The evaluation failed with return code 128"),
    "timed out": (
        ExitReason.TIMED_OUT,
        143,
        "The evaluation was stopped: it took longer than 90 s",
    ),
    "timed out, exit 0": (
        ExitReason.TIMED_OUT,
        0,
        "The evaluation was stopped: it took longer than 90 s",
    ),
    "terminated": (
        ExitReason.TERMINATED,
        143,
        "The evaluation was stopped from outside: its runner was told to end",
    ),
    "not started": (
        ExitReason.NOT_STARTED,
        127,
        "The harness could not be started: no such program",
    ),
}


@pytest.mark.parametrize(("reason", "code", "words"), FAILURES.values(), ids=FAILURES.keys())
def test_the_first_line_of_a_failure_says_what_happened(
    paths: Paths, reason: ExitReason, code: int, words: str
) -> None:
    outcome = outcome_of(paths, reason, code, "no such program")

    assert (outcome.status, outcome.exit_code) == (Status.FAILED, code)
    assert outcome.error == words


@pytest.mark.parametrize("reason", ExitReason)
def test_every_exit_reason_has_an_outcome(paths: Paths, reason: ExitReason) -> None:
    outcome = outcome_of(paths, reason, None if reason is ExitReason.CANCELLED else 1)

    assert outcome.status in (Status.FAILED, Status.CANCELLED)
    assert outcome.completed_at == ENDED


def test_the_first_line_of_a_failure_names_the_exception_in_the_log(paths: Paths) -> None:
    (paths.run_dir / LOG_FILE).write_text("Traceback:\n  ...\nValueError: no such task\ndone\n")

    outcome = outcome_of(paths, ExitReason.EXITED, 1)

    assert headline(outcome) == (
        "The evaluation failed with return code 1: ValueError: no such task"
    )


def test_a_failure_has_the_last_lines_and_the_path_of_the_log(paths: Paths) -> None:
    log = paths.run_dir / LOG_FILE
    log.write_text("".join(f"line {number}\n" for number in range(100)))

    outcome = outcome_of(paths, ExitReason.EXITED, 1)

    assert outcome.error is not None
    _, where, *lines = outcome.error.split("\n")
    assert where == f"Last lines of {log}:"
    assert lines == [f"line {number}" for number in range(50, 100)]


@pytest.mark.parametrize("character", ["x", "é", "😀"])
def test_a_failure_has_at_most_16_kb_and_ends_where_the_log_ends(
    paths: Paths, character: str
) -> None:
    lines = [character * 1000] * 60 + ["ValueError: the cause", "the very last words"]
    (paths.run_dir / LOG_FILE).write_text("\n".join(lines))

    outcome = outcome_of(paths, ExitReason.EXITED, 1)

    assert outcome.error is not None
    assert 12 * 1024 < len(outcome.error.encode()) <= MAX_ERROR_BYTES == 16 * 1024
    assert headline(outcome).endswith("ValueError: the cause")
    assert outcome.error.endswith("the very last words")


def test_an_outcome_has_version_host_and_command(paths: Paths) -> None:
    outcome = outcome_of(paths, ExitReason.EXITED, 1)

    assert outcome.provenance == {
        "evalserver": __version__,
        "host": socket.gethostname(),
        "command": ["lmms_eval"],
    }


def test_an_outcome_does_not_need_the_command_line(paths: Paths) -> None:
    ended = end(ExitReason.CANCELLED, None)

    outcome = judge(JOB, ENGINE, paths, ended, AttemptInfo(), max_failed_requests=0.05)

    assert outcome.provenance is not None
    assert outcome.provenance["command"] is None


def test_an_exit_of_0_with_failed_requests_fails_the_job(paths: Paths) -> None:
    shutil.copytree(DATA / "lmms_dead", paths.output_dir, dirs_exist_ok=True)

    outcome = outcome_of(paths, ExitReason.EXITED, 0)

    assert (outcome.status, outcome.exit_code) == (Status.FAILED, 0)
    assert headline(outcome) == (
        "4 of 4 requests to the model failed (100.0%, allowed are 5.0%), "
        "so the harness's numbers mean nothing, for example: "
        "[LMMS_EVAL_REQUEST_FAILED after 1 retries] Connection error."
    )


@pytest.mark.parametrize(("failures", "status"), [(3, Status.COMPLETED), (4, Status.FAILED)])
def test_a_few_failed_requests_are_reported_and_more_fail_the_job(
    paths: Paths, failures: int, status: Status
) -> None:
    shutil.copytree(DATA / "lmms_async", paths.output_dir, dirs_exist_ok=True)
    (samples,) = paths.output_dir.rglob("*.jsonl")
    good = samples.read_text().splitlines()[:1] * 60
    failed = ['{"filtered_resps": ["[LMMS_EVAL_REQUEST_FAILED after 5 retries] x"]}'] * failures
    samples.write_text("\n".join([*failed, *good[failures:]]))

    outcome = outcome_of(paths, ExitReason.EXITED, 0)

    assert outcome.status is status
    if outcome.result is not None:
        expected = {"failed": failures, "of": len(good), "share": failures / len(good)}
        assert outcome.result["digits-svc"]["failed_requests"] == expected


def test_a_task_without_a_metric_fails_the_job(paths: Paths) -> None:
    leave_results(paths)
    job = replace(JOB, request=replace(JOB.request, tasks=("digits_vqa", "mme")))

    outcome = judge(job, ENGINE, paths, end(ExitReason.EXITED, 0), INFO, max_failed_requests=0.05)

    assert outcome.status is Status.FAILED
    assert headline(outcome) == (
        "The harness's results say nothing about mme; they have numbers for digits_vqa"
    )


def test_a_lost_runner_fails_the_job_and_names_the_attempt(paths: Paths) -> None:
    outcome = lost(JOB, ENGINE, paths, INFO, Lost("it was killed"), ENDED)

    assert (outcome.status, outcome.completed_at) == (Status.FAILED, ENDED)
    assert outcome.error is not None
    assert outcome.error.startswith("The runner of attempt 2 of 2 was lost: it was killed. ")


def test_a_loss_that_would_repeat_itself_has_its_own_code_and_says_so(paths: Paths) -> None:
    end = Lost("the node ran out of memory", "host_out_of_memory", may_retry=False)

    outcome = lost(JOB, ENGINE, paths, INFO, end, ENDED)

    assert outcome.failure is not None
    assert outcome.failure.code == "host_out_of_memory"
    assert "would end in the same way" in (outcome.error or "")


def test_the_failure_of_a_lost_runner_has_the_end_of_the_log_and_the_command(paths: Paths) -> None:
    (paths.run_dir / LOG_FILE).write_text("it was half way\n")

    outcome = lost(JOB, ENGINE, paths, INFO, Lost("it was killed"), ENDED)

    assert outcome.error is not None
    assert outcome.error.endswith("it was half way")
    assert outcome.provenance is not None
    assert outcome.provenance["command"] == ["lmms_eval"]


def test_a_runner_lost_during_a_cancel_gives_a_cancelled_job(paths: Paths) -> None:
    job = Job(**{**vars(JOB), "cancel_requested_at": STARTED})

    assert lost(job, ENGINE, paths, INFO, Lost("it was killed"), ENDED).status is Status.CANCELLED


def test_a_failure_without_a_harness_has_its_reason_as_error() -> None:
    outcome = failed("no room", "checkpoint_missing", ENDED)

    assert (outcome.status, outcome.completed_at) == (Status.FAILED, ENDED)
    assert outcome.error == "no room"
    assert outcome.failure is not None
    assert outcome.failure.code == "checkpoint_missing"


CODES_OF_ENDS = {
    "exit code": (ExitReason.EXITED, 7, "harness_error"),
    "no results": (ExitReason.EXITED, 0, "no_results"),
    "timed out": (ExitReason.TIMED_OUT, 137, "time_limit"),
    "terminated": (ExitReason.TERMINATED, 143, "lost"),
    "not started": (ExitReason.NOT_STARTED, 127, "not_started"),
    "killed by somebody": (ExitReason.EXITED, 143, "killed"),
    "killed by the kernel": (ExitReason.EXITED, 137, "host_out_of_memory"),
    "crashed": (ExitReason.EXITED, 139, "crashed"),
    "bus error": (ExitReason.EXITED, 135, "shared_memory"),
}


@pytest.mark.parametrize(
    ("reason", "code", "expected"), CODES_OF_ENDS.values(), ids=CODES_OF_ENDS.keys()
)
def test_a_failure_has_a_code_and_advice(
    paths: Paths, reason: ExitReason, code: int, expected: str
) -> None:
    outcome = outcome_of(paths, reason, code)

    assert outcome.failure is not None
    assert outcome.failure.code == expected
    assert outcome.failure.advice.endswith(CODES[expected])


def test_a_completed_job_has_no_failure(paths: Paths) -> None:
    leave_results(paths)

    assert outcome_of(paths, ExitReason.EXITED, 0).failure is None


def test_a_failure_of_a_lost_runner_says_how_to_have_it_run_again(paths: Paths) -> None:
    outcome = lost(JOB, ENGINE, paths, INFO, Lost("it was killed"), ENDED)

    assert outcome.failure is not None
    assert outcome.failure.code == "lost"
    assert "max_attempts" in outcome.failure.advice


def test_tracebacks_in_an_error_keep_their_last_frames(paths: Paths) -> None:
    frames = "".join(
        f'  File "/x/module_{number}.py", line {number}, in call\n    call()\n'
        for number in range(40)
    )
    log = f"begin\nTraceback (most recent call last):\n{frames}KeyError: 'a'\n"
    (paths.run_dir / LOG_FILE).write_text(log)

    outcome = outcome_of(paths, ExitReason.EXITED, 1)

    assert outcome.error is not None
    assert "... 36 frames left out ..." in outcome.error
    assert "module_39.py" in outcome.error
    assert "module_35.py" not in outcome.error
    assert "begin" in outcome.error


def write_results(paths: Paths, results: dict[str, dict[str, object]]) -> None:
    """Write a results file as lmms-eval does."""
    text = json.dumps({"results": results, "model_source": "m"})
    (paths.output_dir / "20260101_000000_results.json").write_text(text)


def codes(outcome: Outcome) -> tuple[str, list[str]]:
    """The status of the check, and the codes of its findings."""
    assert outcome.result_check is not None
    found = [each.code.value for each in outcome.result_check.findings]
    return outcome.result_check.status.value, found


def test_whole_results_are_checked_and_ok(paths: Paths) -> None:
    leave_results(paths)

    assert codes(outcome_of(paths, ExitReason.EXITED, 0)) == ("ok", [])


def test_one_nan_withholds_no_other_number(paths: Paths) -> None:
    write_results(paths, {"digits_vqa": {"acc,none": float("nan")}, "mme": {"acc,none": 0.5}})

    outcome = outcome_of(paths, ExitReason.EXITED, 0)

    assert outcome.status is Status.COMPLETED
    assert [metric.task for metric in outcome.metrics] == ["mme"]
    assert codes(outcome) == ("warnings", ["not_finite"])


def test_nan_alone_fails_the_job_and_is_named(paths: Paths) -> None:
    write_results(paths, {"digits_vqa": {"acc,none": float("nan")}})

    outcome = outcome_of(paths, ExitReason.EXITED, 0)

    assert outcome.status is Status.FAILED
    assert headline(outcome) == (
        "The harness's results have no number. digits_vqa: acc,none is NaN"
    )
    assert codes(outcome) == ("failed", ["not_finite"])
    assert outcome.partial is None


def test_a_submission_alone_completes_the_job_without_a_number(paths: Paths) -> None:
    write_results(paths, {"digits_vqa": {"submission,none": None}})

    outcome = outcome_of(paths, ExitReason.EXITED, 0)

    assert (outcome.status, outcome.metrics) == (Status.COMPLETED, ())
    assert codes(outcome) == ("warnings", ["no_score"])


def test_a_missing_task_fails_the_job_and_the_other_numbers_are_kept(paths: Paths) -> None:
    write_results(paths, {"mme": {"acc,none": 0.5}})

    outcome = outcome_of(paths, ExitReason.EXITED, 0)

    assert (outcome.status, outcome.result) == (Status.FAILED, None)
    assert outcome.partial == {"mme": {"acc,none": 0.5}}
    assert [metric.task for metric in outcome.metrics] == ["mme"]
    assert codes(outcome) == ("failed", ["missing_task"])


def test_without_results_there_is_nothing_to_check(paths: Paths) -> None:
    outcome = outcome_of(paths, ExitReason.EXITED, 0)

    assert (outcome.result_check, outcome.partial) == (None, None)


def test_some_failed_requests_are_a_warning(paths: Paths) -> None:
    shutil.copytree(DATA / "lmms_dead", paths.output_dir, dirs_exist_ok=True)

    outcome = judge(JOB, ENGINE, paths, end(ExitReason.EXITED, 0), INFO, max_failed_requests=1.0)

    assert (outcome.status, codes(outcome)) == (
        Status.COMPLETED,
        ("warnings", ["failed_requests"]),
    )


AFTER_RESULTS = {
    "segmentation fault": (ExitReason.EXITED, 139, "killed by signal 11 (exit code 139)"),
    "abort": (ExitReason.EXITED, 134, "killed by signal 6 (exit code 134)"),
    "time limit": (ExitReason.TIMED_OUT, 143, "it took longer than 90 s"),
}


@pytest.mark.parametrize(
    ("reason", "code", "words"), AFTER_RESULTS.values(), ids=AFTER_RESULTS.keys()
)
def test_a_harness_that_dies_after_its_results_completes_the_job(
    paths: Paths, reason: ExitReason, code: int, words: str
) -> None:
    leave_results(paths)

    outcome = outcome_of(paths, reason, code)

    assert (outcome.status, outcome.exit_code) == (Status.COMPLETED, code)
    assert codes(outcome) == ("warnings", ["ended_after_results"])
    assert outcome.result_check is not None
    assert words in outcome.result_check.findings[0].message


NOT_AFTER_RESULTS = {
    "an exit code": (ExitReason.EXITED, 1),
    "a code above all signals": (ExitReason.EXITED, 200),
    "stopped with the runner": (ExitReason.TERMINATED, 143),
}


@pytest.mark.parametrize(
    ("reason", "code"), NOT_AFTER_RESULTS.values(), ids=NOT_AFTER_RESULTS.keys()
)
def test_another_end_fails_the_job_and_its_numbers_are_kept(
    paths: Paths, reason: ExitReason, code: int
) -> None:
    leave_results(paths)

    outcome = outcome_of(paths, reason, code)

    assert outcome.status is Status.FAILED
    assert outcome.partial is not None
    assert outcome.partial["digits_vqa"]["acc,none"] == 0.109375
    assert codes(outcome) == ("failed", ["incomplete"])


def test_a_killed_harness_with_half_of_its_results_fails_the_job(paths: Paths) -> None:
    write_results(paths, {"mme": {"acc,none": 0.5}})

    outcome = outcome_of(paths, ExitReason.EXITED, 137)

    assert headline(outcome) == "The harness was killed by signal 9 (exit code 137)"
    assert codes(outcome) == ("failed", ["missing_task", "incomplete"])


def test_a_results_file_that_was_cut_off_fails_the_job(paths: Paths) -> None:
    (paths.output_dir / "20260101_000000_results.json").write_text('{"results": {"digits_vqa"')

    outcome = outcome_of(paths, ExitReason.EXITED, 139)

    assert (outcome.status, outcome.result_check) == (Status.FAILED, None)


def test_an_earlier_stage_that_was_killed_has_no_results(paths: Paths) -> None:
    leave_results(paths)
    ended = replace(end(ExitReason.EXITED, 139), stage="merging")

    outcome = judge(JOB, ENGINE, paths, ended, INFO, max_failed_requests=0.05)

    assert (outcome.status, outcome.partial) == (Status.FAILED, None)


def test_a_lost_runner_stays_a_loss_and_the_numbers_are_kept(paths: Paths) -> None:
    leave_results(paths)

    outcome = lost(JOB, ENGINE, paths, INFO, Lost("it was killed"), ENDED)

    assert outcome.status is Status.FAILED
    assert outcome.partial is not None
    assert codes(outcome) == ("failed", ["incomplete"])


def test_only_the_first_hundred_findings_are_kept(paths: Paths) -> None:
    tasks: dict[str, dict[str, object]] = {
        f"t{number}": {"acc,none": float("nan")} for number in range(150)
    }
    write_results(paths, {**tasks, "digits_vqa": {"acc,none": 0.5}})

    outcome = outcome_of(paths, ExitReason.EXITED, 0)

    assert outcome.result_check is not None
    *kept, last = outcome.result_check.findings
    assert (len(kept), last.message) == (100, "There are 50 more findings")
