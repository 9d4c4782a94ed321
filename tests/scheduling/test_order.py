"""The order of starts: strict, skipping those blocked by their submitter's limit, backfill."""

import itertools
from collections.abc import Sequence

import pytest

from evalserver.core.job import Demand, QueuedJob
from evalserver.scheduling.order import END_SECONDS, Head, Start, backfill, choose, reserve
from evalserver.scheduling.slots import Inventory, Limits, RunningJob

NOW = 1000.0
FOUR = ("0", "1", "2", "3")


def queued(
    name: str, num_gpus: int = 1, *, submitted_by: str = "alice", timeout_s: float | None = None
) -> QueuedJob:
    """Return a queued job."""
    return QueuedJob(name, 0, 1, submitted_by, Demand(num_gpus, timeout_s))


def running(gpus: str, ends_in: float | None = None, submitted_by: str = "bob") -> RunningJob:
    """Return a running job on these GPUs, which its time limit ends in some seconds."""
    end = None if ends_in is None else NOW + ends_in
    return RunningJob(f"on-{gpus}", submitted_by, len(gpus), tuple(gpus), end)


def chosen(jobs: Sequence[QueuedJob], inventory: Inventory) -> str | None:
    """Return which job starts in strict order."""
    found = choose(jobs, inventory, lambda _: True)
    return found.job.job_id if isinstance(found, Start) else None


def filled(
    jobs: Sequence[QueuedJob], inventory: Inventory, expected: dict[str, float] | None = None
) -> Start | None:
    """Return which job starts by backfill."""
    head = choose(jobs, inventory, lambda _: True)
    assert isinstance(head, Head)
    candidates = head.candidates(inventory)
    return backfill(head.job, candidates, inventory, NOW, 0.0, expected or {})


def test_nobody_overtakes_a_job_that_lacks_gpus() -> None:
    inventory = Inventory(Limits(FOUR), (running("012"),))

    assert chosen([queued("large", 2), queued("small", 1)], inventory) is None


def test_a_job_that_only_its_submitters_limit_blocks_is_skipped() -> None:
    limits = Limits(FOUR, max_running_per_token=1)
    jobs = [queued("second of bob", submitted_by="bob"), queued("first of alice")]

    found = choose(jobs, Inventory(limits, (running("0"),)), lambda _: True)

    assert isinstance(found, Start)
    assert found.job.job_id == "first of alice"
    assert found.slot.over == ("second of bob",)
    assert found.slot.why == "their submitters are at --max-running-per-token"


def test_a_job_that_cannot_fit_at_all_is_skipped() -> None:
    assert chosen([queued("huge", 8), queued("small")], Inventory(Limits(FOUR))) == "small"


def test_a_job_whose_checkpoint_is_missing_is_passed_over() -> None:
    found = choose(
        [queued("waits"), queued("ready")], Inventory(), lambda job: job.job_id == "ready"
    )

    assert isinstance(found, Start)
    assert (found.job.job_id, found.slot.over) == ("ready", ())


def test_the_start_of_the_first_job_is_reserved_when_enough_time_limits_have_passed() -> None:
    inventory = Inventory(Limits(FOUR), (running("0", 50), running("12", 100)))

    reserved = reserve(queued("head", 2), inventory, NOW)

    assert reserved is not None
    assert reserved.at == NOW + 50


def test_without_time_limits_nothing_is_reserved() -> None:
    inventory = Inventory(Limits(FOUR), (running("012"),))

    assert reserve(queued("head", 2), inventory, NOW) is None


def test_a_job_whose_time_limit_ends_before_the_reserved_start_goes_first() -> None:
    inventory = Inventory(Limits(FOUR), (running("012", 500),))

    start = filled([queued("head", 4), queued("short", timeout_s=100)], inventory)

    assert start is not None
    assert (start.job.job_id, start.slot.gpus, start.slot.over) == ("short", ("3",), ("head",))
    assert "1970-01-01T00:25:00" in (start.slot.why or "")


@pytest.mark.parametrize("timeout_s", [None, 500 - END_SECONDS + 1])
def test_a_job_that_may_run_beyond_the_reserved_start_does_not_go_first(
    timeout_s: float | None,
) -> None:
    inventory = Inventory(Limits(FOUR), (running("012", 500),))

    assert filled([queued("head", 4), queued("long", timeout_s=timeout_s)], inventory) is None


def test_a_job_without_time_limit_gets_gpus_that_the_first_one_does_not_need() -> None:
    inventory = Inventory(Limits(FOUR), (running("012", 500),))

    start = filled([queued("head", 3), queued("long")], inventory)

    assert start is not None
    assert (start.job.job_id, start.slot.gpus) == ("long", ("3",))


def test_a_job_does_not_use_up_the_limit_that_the_first_one_needs() -> None:
    limits = Limits(FOUR, max_running_per_token=1)
    inventory = Inventory(limits, (running("012", 500),))

    assert filled([queued("head", 3), queued("long")], inventory) is None


def test_the_shortest_expected_job_fills_the_gap() -> None:
    inventory = Inventory(Limits(FOUR), (running("012", 500),))
    jobs = [queued("head", 4), *(queued(name, timeout_s=100) for name in ("a", "b", "c"))]

    start = filled(jobs, inventory, {"a": 90.0, "b": 10.0})

    assert start is not None
    assert start.job.job_id == "b"


def test_no_gap_is_filled_once_a_running_job_is_beyond_its_limit() -> None:
    inventory = Inventory(Limits(FOUR), (running("012", -1),))

    assert filled([queued("head", 4), queued("short", timeout_s=1)], inventory) is None


def test_no_gap_is_filled_while_a_gpu_may_come_back_at_any_time() -> None:
    inventory = Inventory(
        Limits(FOUR), (running("01", 500),), {"2": "has not released its memory yet"}
    )

    assert filled([queued("head", 2), queued("short", timeout_s=1)], inventory) is None


def test_a_decision_examines_a_bounded_number_of_jobs() -> None:
    inventory = Inventory(Limits(FOUR), (running("012", 500),))
    endless = (queued(str(number), 4) for number in itertools.count())

    head = choose(endless, inventory, lambda _: True)

    assert isinstance(head, Head)
    assert head.candidates(inventory) == ()
