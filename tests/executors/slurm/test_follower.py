"""What is concluded from looks at a run directory and at Slurm, and when."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from evalserver.executors import Cancelled, Exit, ExitReason, Lost
from evalserver.executors.slurm import SlurmJob, SlurmState
from evalserver.executors.slurm.endings import End
from evalserver.executors.slurm.follower import Follower, Patience
from evalserver.executors.slurm.sight import Sight

SUBMITTED = datetime(2026, 11, 28, 12, tzinfo=UTC)
STARTED = "2026-11-28T12:00:05+00:00"
JOB = SlurmJob(
    "7", "evalserver-1", SlurmState.RUNNING, "RUNNING", None, None, "n1", "main", SUBMITTED,
    SUBMITTED, None, None,
)  # fmt: skip
RUNS = Sight(is_started=True, started_at=STARTED, heartbeat=1)
EXITED = Exit(ExitReason.EXITED, 0, STARTED, STARTED)
LOOKS, GRACE, SILENCE, UNSEEN = 3, 10, 100, 50


def job(state: SlurmState, exit_code: int | None = None, **changes: object) -> SlurmJob:
    """The job in another state."""
    return replace(JOB, state=state, state_text=state.value, exit_code=exit_code, **changes)  # type: ignore[arg-type]


class Looks:
    """Looks at one attempt, a second apart."""

    def __init__(self) -> None:
        self.follower = Follower(Patience(LOOKS, GRACE, SILENCE, UNSEEN), number=5, now=0.0)
        self.seconds = 0
        self.number = 5

    def see(self, sight: Sight, *jobs: SlurmJob, seconds: int = 1) -> End | None:
        """Look every second; returns the end, if it is known at the last look and not before."""
        end = None
        for _ in range(seconds):
            assert end is None, f"known after {self.seconds} s"
            self.seconds, self.number = self.seconds + 1, self.number + 1
            end = self.follower.look(sight, self.number, jobs, float(self.seconds))
        return end


def test_exit_json_is_the_authority_whatever_slurm_says() -> None:
    assert Looks().see(replace(RUNS, end=EXITED), job(SlurmState.RUNNING)) == EXITED
    assert Looks().see(replace(RUNS, end=EXITED)) == EXITED


def test_the_end_is_known_when_all_that_was_written_is_seen() -> None:
    looks = Looks()
    ended = replace(RUNS, end=EXITED)

    assert looks.see(replace(ended, unseen="/results.json"), seconds=UNSEEN) is None
    assert looks.see(ended) == EXITED


def test_what_is_never_seen_is_not_waited_for_any_longer() -> None:
    looks = Looks()
    ended = replace(RUNS, end=EXITED, unseen="/results.json")

    assert looks.see(ended, seconds=UNSEEN) is None
    assert looks.see(ended) == EXITED


def test_a_look_at_slurm_from_before_the_submission_says_nothing() -> None:
    follower = Follower(Patience(1, 0, 0), number=5, now=0.0)

    assert follower.look(Sight(), 5, (), 100.0) is None
    assert isinstance(follower.look(Sight(), 6, (), 101.0), Lost)


@pytest.mark.parametrize(
    ("state", "code", "may_retry"),
    [
        (SlurmState.TIMEOUT, "cluster_time_limit", False),
        (SlurmState.OUT_OF_MEMORY, "host_out_of_memory", False),
        (SlurmState.PREEMPTED, "preempted", True),
        (SlurmState.BOOT_FAIL, "node_failed", True),
        (SlurmState.CANCELLED, "cluster_cancelled", False),
        (SlurmState.FAILED, "lost", True),
    ],
)
def test_slurm_says_why_it_ended_what_left_no_record(
    state: SlurmState, code: str, may_retry: bool
) -> None:
    looks = Looks()

    assert looks.see(RUNS, job(state), seconds=GRACE) is None
    end = looks.see(RUNS, job(state))

    assert isinstance(end, Lost)
    assert (end.code, end.may_retry, end.started_at) == (code, may_retry, STARTED)


@pytest.mark.parametrize(
    ("exit_code", "sight", "code", "may_retry"),
    [
        (97, Sight(), "cluster_not_started", False),
        (127, Sight(), "cluster_not_started", False),
        (1, Sight(), "cluster_not_started", True),
        (99, RUNS, "node_failed", True),
        (-9, RUNS, "lost", True),
    ],
)
def test_an_exit_code_says_how_far_the_runner_came(
    exit_code: int, sight: Sight, code: str, may_retry: bool
) -> None:
    looks = Looks()

    assert looks.see(sight, job(SlurmState.FAILED, exit_code), seconds=GRACE) is None
    end = looks.see(sight, job(SlurmState.FAILED, exit_code))

    assert isinstance(end, Lost)
    assert (end.code, end.may_retry) == (code, may_retry)


def test_a_record_that_a_network_file_system_shows_late_counts() -> None:
    looks = Looks()

    assert looks.see(RUNS, job(SlurmState.COMPLETED), seconds=GRACE - 1) is None
    assert looks.see(replace(RUNS, end=EXITED), job(SlurmState.COMPLETED)) == EXITED


@pytest.mark.parametrize(
    ("end", "state", "code"),
    [
        (replace(EXITED, reason=ExitReason.TERMINATED), SlurmState.TIMEOUT, "cluster_time_limit"),
        (replace(EXITED, reason=ExitReason.TERMINATED), SlurmState.PREEMPTED, "preempted"),
        (replace(EXITED, exit_code=143), SlurmState.CANCELLED, "cluster_cancelled"),
    ],
)
def test_slurm_says_why_it_terminated_what_left_a_record(
    end: Exit, state: SlurmState, code: str
) -> None:
    looks = Looks()
    sight = replace(RUNS, end=end)

    assert looks.see(sight, job(SlurmState.COMPLETING), seconds=2) is None
    found = looks.see(sight, job(state))

    assert isinstance(found, Lost)
    assert (found.code, found.started_at) == (code, STARTED)


def test_a_program_that_failed_by_itself_keeps_its_exit_code() -> None:
    failed = replace(EXITED, exit_code=3)

    assert Looks().see(replace(RUNS, end=failed), job(SlurmState.FAILED, 3)) == failed


def test_a_program_that_slurm_killed_for_its_memory_is_out_of_memory() -> None:
    killed = replace(EXITED, exit_code=137)

    end = Looks().see(replace(RUNS, end=killed), job(SlurmState.OUT_OF_MEMORY, 253))

    assert end == replace(killed, out_of_memory="Slurm job 7 used more memory than it may.")


def test_a_cancel_that_slurm_carried_out_first_is_a_cancel() -> None:
    terminated = replace(RUNS, end=replace(EXITED, exit_code=143), is_cancelled=True)

    end = Looks().see(terminated, job(SlurmState.CANCELLED))

    assert end == replace(EXITED, exit_code=143, reason=ExitReason.CANCELLED)


def test_completing_is_not_an_end() -> None:
    looks = Looks()

    assert looks.see(RUNS, job(SlurmState.COMPLETING), seconds=10 * SILENCE) is None


def test_a_job_that_slurm_has_never_heard_of_is_lost_after_some_looks() -> None:
    looks = Looks()

    assert looks.see(Sight(), seconds=GRACE) is None
    assert looks.see(Sight()) == Lost("Slurm does not know its job any more")


def test_a_job_that_comes_back_was_not_lost() -> None:
    looks = Looks()

    assert looks.see(Sight(), seconds=GRACE) is None
    assert looks.see(Sight(), job(SlurmState.PENDING), seconds=5) is None
    assert looks.see(Sight(), seconds=GRACE) is None


def test_no_looks_at_slurm_conclude_nothing() -> None:
    follower = Follower(Patience(LOOKS, GRACE, SILENCE, UNSEEN), number=5, now=0.0)

    ends = [follower.look(Sight(), 6, (), float(second)) for second in range(1000)]

    assert set(ends) == {None}


@pytest.mark.parametrize("jobs", [(), (job(SlurmState.NODE_FAIL),), (job(SlurmState.FAILED, 98),)])
def test_what_may_still_run_is_not_lost_before_its_runner_has_been_silent(
    jobs: tuple[SlurmJob, ...],
) -> None:
    looks = Looks()

    for beat in range(2 * SILENCE):
        assert looks.see(replace(RUNS, heartbeat=beat), *jobs) is None
    assert looks.see(replace(RUNS, heartbeat=0), *jobs, seconds=SILENCE) is None
    assert isinstance(looks.see(replace(RUNS, heartbeat=0), *jobs), Lost)


def test_the_job_that_ran_counts_and_not_the_one_that_found_its_start_lock() -> None:
    second = job(SlurmState.FAILED, 98, job_id="8", submitted_at=SUBMITTED + timedelta(seconds=1))
    looks = Looks()

    assert looks.see(RUNS, job(SlurmState.RUNNING), second, seconds=2 * SILENCE) is None
    assert looks.see(RUNS, job(SlurmState.TIMEOUT), second, seconds=GRACE) is None
    end = looks.see(RUNS, job(SlurmState.TIMEOUT), second)

    assert isinstance(end, Lost)
    assert end.code == "cluster_time_limit"


def test_accounting_says_how_a_job_ended_that_left_the_queue() -> None:
    looks = Looks()

    assert not looks.follower.needs_records
    assert looks.see(RUNS, seconds=LOOKS) is None
    assert looks.follower.needs_records
    looks.follower.remember((job(SlurmState.TIMEOUT),))
    assert not looks.follower.needs_records
    end = looks.see(RUNS, seconds=GRACE + 1)

    assert end is None or isinstance(end, Lost)
    end = end or looks.see(RUNS)
    assert isinstance(end, Lost)
    assert end.code == "cluster_time_limit"


def test_what_accounting_believes_to_run_says_nothing() -> None:
    looks = Looks()
    looks.follower.remember((job(SlurmState.RUNNING),))

    assert looks.see(Sight(), seconds=GRACE) is None
    assert isinstance(looks.see(Sight()), Lost)


def test_a_cancelled_attempt_that_left_no_record_is_cancelled_once_slurm_has_ended_it() -> None:
    looks = Looks()
    cancelled = replace(RUNS, is_cancelled=True)

    assert looks.see(cancelled, job(SlurmState.RUNNING), seconds=50) is None
    assert looks.see(cancelled, job(SlurmState.CANCELLED), seconds=GRACE) is None
    assert looks.see(cancelled, job(SlurmState.CANCELLED)) == Cancelled()
