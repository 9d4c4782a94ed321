"""Placement: which jobs fit, on which GPUs, and what blocks the others."""

from hypothesis import given
from hypothesis import strategies as st

from evalserver.core.job import Demand, QueuedJob, Slot
from evalserver.scheduling.slots import Blocked, Inventory, Lane, Limits, RunningJob, place

GPUS = tuple("01234567")


def job(num_gpus: int = 1, submitted_by: str = "alice") -> QueuedJob:
    """Return a queued job."""
    return QueuedJob("new", 0, 1, submitted_by, Demand(num_gpus))


def running(gpus: str | None, submitted_by: str = "bob", num_gpus: int | None = None) -> RunningJob:
    """Return a running job on these GPUs, such as "013"."""
    held = None if gpus is None else tuple(gpus)
    return RunningJob(f"on-{gpus}", submitted_by, num_gpus or len(gpus or ""), held)


def test_a_job_gets_the_first_free_gpus() -> None:
    inventory = Inventory(Limits(GPUS), (running("03"),))

    assert place(job(3), inventory) == Slot(("1", "2", "4"))


def test_an_unavailable_gpu_is_not_given() -> None:
    inventory = Inventory(Limits(("0", "1")), unavailable={"0": "is quarantined"})

    assert place(job(), inventory) == Slot(("1",))


def test_a_job_waits_while_too_few_gpus_are_free() -> None:
    assert place(job(7), Inventory(Limits(GPUS), (running("03"),))) is Blocked.NO_PLACE


def test_a_job_that_needs_more_gpus_than_there_are_never_fits() -> None:
    assert place(job(9), Inventory(Limits(GPUS))) is Blocked.TOO_LARGE


def test_a_job_without_gpus_runs_beside_those_that_hold_all() -> None:
    assert place(job(0), Inventory(Limits(GPUS), (running("01234567"),))) == Slot(())


def test_jobs_without_gpus_have_a_limit_of_their_own() -> None:
    beside = RunningJob("api", "bob", 0, ())

    assert place(job(0), Inventory(Limits(GPUS), (beside,))) is Blocked.NO_PLACE
    assert place(job(1), Inventory(Limits(GPUS), (beside,))) == Slot(("0",))


def test_without_managed_gpus_one_job_runs_at_a_time() -> None:
    assert place(job(2), Inventory()) == Slot(None)
    assert place(job(), Inventory(running=(running(None, num_gpus=1),))) is Blocked.NO_PLACE


def test_max_running_allows_several_without_managed_gpus() -> None:
    inventory = Inventory(Limits(max_running=2), (running(None, num_gpus=1),))

    assert place(job(), inventory) == Slot(None)


def test_max_running_limits_jobs_with_gpus() -> None:
    inventory = Inventory(Limits(GPUS, max_running=1), (running("0"),))

    assert place(job(), inventory) is Blocked.NO_PLACE


def test_a_submitter_at_the_limit_of_tokens_is_blocked_alone() -> None:
    inventory = Inventory(Limits(GPUS, max_running_per_token=1), (running("0", "alice"),))

    assert place(job(submitted_by="alice"), inventory) is Blocked.TOKEN_LIMIT
    assert place(job(submitted_by="carol"), inventory) == Slot(("1",))


def test_a_submitter_at_its_limit_in_one_lane_is_not_blocked_in_the_other() -> None:
    beside = RunningJob("api", "alice", 0, ())
    inventory = Inventory(Limits(GPUS, None, 2, 1), (beside,))

    assert place(job(1), inventory) == Slot(("0",))
    assert place(job(0), inventory) is Blocked.TOKEN_LIMIT


def test_a_job_that_needs_more_gpus_than_are_in_service_is_blocked_by_quarantine() -> None:
    inventory = Inventory(Limits(GPUS), (running("01"),), quarantined=frozenset("2"))

    assert place(job(8), inventory) is Blocked.QUARANTINE
    assert place(job(7), inventory) is Blocked.NO_PLACE
    assert place(job(2), inventory) == Slot(("3", "4"))


def test_a_job_that_was_started_without_managed_gpus_may_use_any() -> None:
    inventory = Inventory(Limits(GPUS), (running(None, num_gpus=1),))

    assert place(job(), inventory) is Blocked.NO_PLACE


JOBS = st.lists(
    st.tuples(st.integers(0, 9), st.sampled_from(["alice", "bob"]), st.booleans()), max_size=40
)


@given(
    JOBS,
    st.sets(st.sampled_from(GPUS)),
    st.sets(st.sampled_from(GPUS)),
    st.one_of(st.none(), st.integers(1, 4)),
    st.one_of(st.none(), st.integers(1, 4)),
)
def test_no_gpu_is_given_twice_and_no_job_waits_needlessly(
    jobs: list[tuple[int, str, bool]],
    broken: set[str],
    quarantined: set[str],
    max_running: int | None,
    per_token: int | None,
) -> None:
    limits = Limits(GPUS, max_running, 2, per_token)
    now: list[RunningJob] = []
    for number, (num_gpus, submitter, one_ends) in enumerate(jobs):
        if one_ends and now:
            now.pop(0)
        inventory = Inventory(
            limits, tuple(now), dict.fromkeys(broken, "is broken"), frozenset(quarantined)
        )
        held = {gpu for each in now for gpu in each.gpus or ()}
        free = {*GPUS} - held - broken - quarantined
        found = place(job(num_gpus, submitter), inventory)
        if isinstance(found, Slot):
            assert found.gpus is not None
            assert len({*found.gpus} & free) == num_gpus == len(found.gpus)
            now.append(RunningJob(str(number), submitter, num_gpus, found.gpus))
        else:
            lane = limits.lane_of(num_gpus)
            in_lane = sum(1 for each in now if limits.lane_of(each.num_gpus) is lane)
            of_submitter = sum(
                1
                for each in now
                if each.submitted_by == submitter and limits.lane_of(each.num_gpus) is lane
            )
            most = limits.max_in(lane)
            assert (
                num_gpus > len(free)
                or (most is not None and in_lane >= most)
                or (per_token is not None and of_submitter >= per_token)
                or (lane is Lane.WITH_GPU and not free)
            )
