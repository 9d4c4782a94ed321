"""The order of starts: strict, skipping those blocked by their submitter's limit, backfill."""

import itertools
from collections.abc import Sequence

import pytest

from evalserver.core.job import Demand, QueuedJob, Slot
from evalserver.scheduling.order import (
    MAX_OVER,
    MIN_PREPARATION_SECONDS,
    Head,
    Start,
    backfill,
    choose,
    find_reservation,
    is_skipped,
    with_overtaken,
)
from evalserver.scheduling.queue_index import QueueIndex
from evalserver.scheduling.slots import Blocked, Inventory, Lane, Limits, RunningJob, place

NOW = 1000.0
END_SECONDS = 60.0
FOUR = ("0", "1", "2", "3")


def queued(
    name: str,
    num_gpus: int = 1,
    *,
    submitted_by: str = "alice",
    timeout_s: float | None = None,
    seq: int = 1,
) -> QueuedJob:
    """Return a queued job."""
    return QueuedJob(name, 0, seq, submitted_by, Demand(num_gpus, timeout_s))


def queue_of(*jobs: QueuedJob) -> QueueIndex:
    """Return a queue with these jobs, in this order."""
    queue = QueueIndex(lambda job: Lane.WITH_GPU if job.demand.num_gpus else Lane.WITHOUT_GPU)
    for seq, job in enumerate(jobs):
        queue.add(job._replace(place=seq))
    return queue


def started(queue: QueueIndex, inventory: Inventory) -> Start:
    """Return which job starts in strict order, and what it overtakes."""
    found = choose(queue.in_lane(Lane.WITH_GPU), inventory, lambda _: True)
    assert isinstance(found, Start)
    return with_overtaken(found, queue, inventory)


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
    return backfill(head.job, candidates, inventory, NOW, END_SECONDS, expected or {})


def test_nobody_overtakes_a_job_that_lacks_gpus() -> None:
    inventory = Inventory(Limits(FOUR), (running("012"),))

    assert chosen([queued("large", 2), queued("small", 1)], inventory) is None


def test_a_job_that_only_its_submitters_limit_blocks_is_skipped() -> None:
    queue = queue_of(queued("second of bob", submitted_by="bob"), queued("first of alice"))
    inventory = Inventory(Limits(FOUR, max_running_per_token=1), (running("0"),))

    start = started(queue, inventory)

    assert start.job.job_id == "first of alice"
    assert (start.slot.over, start.slot.over_count) == (("second of bob",), 1)
    assert start.slot.why == "their submitters are at --max-running-per-token"


def test_a_job_that_cannot_fit_at_all_is_skipped() -> None:
    assert chosen([queued("huge", 8), queued("small")], Inventory(Limits(FOUR))) == "small"


def test_a_job_that_lacks_quarantined_gpus_is_skipped() -> None:
    queue = queue_of(queued("large", 4), queued("small"))
    inventory = Inventory(Limits(FOUR), quarantined=frozenset("2"))

    start = started(queue, inventory)

    assert (start.job.job_id, start.slot.over) == ("small", ("large",))
    assert start.slot.why == (
        "they need more GPUs than are in service, without those in quarantine"
    )


def test_a_job_that_lacked_a_quarantined_gpu_is_first_again_when_it_is_released() -> None:
    queue = queue_of(queued("large", 4), queued("small"))

    assert started(queue, Inventory(Limits(FOUR))).job.job_id == "large"


def test_nobody_overtakes_a_job_that_lacks_a_gpu_with_a_strangers_process() -> None:
    inventory = Inventory(Limits(FOUR), unavailable={"2": "is used by process 4242 of user bob"})

    assert chosen([queued("large", 4), queued("small")], inventory) is None


def test_a_start_names_the_first_overtaken_jobs_and_counts_all() -> None:
    others = [queued(f"bobs-{n}", submitted_by="bob") for n in range(MAX_OVER + 5)]
    inventory = Inventory(Limits(FOUR, max_running_per_token=1), (running("0"),))

    slot = started(queue_of(*others, queued("own")), inventory).slot

    assert slot.over == tuple(job.job_id for job in others[:MAX_OVER])
    assert slot.over_count == len(others)


def test_a_search_does_not_examine_each_job_of_a_submitter_at_its_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queue = QueueIndex(lambda _: Lane.WITH_GPU)
    for seq in range(100_000):
        queue.add(queued(str(seq), 1 + seq % 4, submitted_by="bob", seq=seq))
    queue.add(queued("own", seq=100_000))
    inventory = Inventory(Limits(FOUR, max_running_per_token=1), (running("0"),))
    examined: list[QueuedJob] = []

    def counted(job: QueuedJob, inventory: Inventory) -> Slot | Blocked:
        examined.append(job)
        return place(job, inventory)

    monkeypatch.setattr("evalserver.scheduling.order.place", counted)
    jobs = queue.in_lane(Lane.WITH_GPU, lambda job: is_skipped(job, inventory))
    found = choose(jobs, inventory, lambda _: True)
    assert isinstance(found, Start)
    start = with_overtaken(found, queue, inventory)

    assert (start.job.job_id, start.slot.over_count) == ("own", 100_000)
    assert len(examined) < 20


def test_a_job_whose_checkpoint_is_missing_is_not_overtaken() -> None:
    waits = QueuedJob("waits", 0, 0, "alice", Demand(1, None, waits_for_checkpoint=True))
    queue = queue_of(waits, queued("ready"))

    found = choose(
        queue.in_lane(Lane.WITH_GPU), Inventory(Limits(FOUR)), lambda job: job.job_id == "ready"
    )

    assert isinstance(found, Start)
    assert found.job.job_id == "ready"
    assert with_overtaken(found, queue, Inventory(Limits(FOUR))).slot.over == ()


def test_the_start_of_the_first_job_is_reserved_when_enough_time_limits_have_passed() -> None:
    inventory = Inventory(Limits(FOUR), (running("0", 50), running("12", 100)))

    reserved = find_reservation(queued("head", 2), inventory, NOW)

    assert reserved is not None
    assert reserved.at == NOW + 50


def test_without_time_limits_nothing_is_reserved() -> None:
    inventory = Inventory(Limits(FOUR), (running("012"),))

    assert find_reservation(queued("head", 2), inventory, NOW) is None


def test_a_job_whose_time_limit_ends_before_the_reserved_start_goes_first() -> None:
    inventory = Inventory(Limits(FOUR), (running("012", 500),))

    start = filled([queued("head", 4), queued("short", timeout_s=100)], inventory)

    assert start is not None
    assert (start.job.job_id, start.slot.gpus) == ("short", ("3",))
    assert start.slot.start_by == NOW + 500 - 100 - END_SECONDS
    assert "1970-01-01T00:25:00" in (start.slot.why or "")


@pytest.mark.parametrize("timeout_s", [None, 500 - END_SECONDS - MIN_PREPARATION_SECONDS + 1])
def test_a_job_that_may_run_beyond_the_reserved_start_does_not_go_first(
    timeout_s: float | None,
) -> None:
    inventory = Inventory(Limits(FOUR), (running("012", 500),))

    assert filled([queued("head", 4), queued("long", timeout_s=timeout_s)], inventory) is None


def test_a_job_without_time_limit_gets_gpus_that_the_first_one_does_not_need() -> None:
    inventory = Inventory(Limits(FOUR), (running("012", 500),))

    start = filled([queued("head", 3), queued("long")], inventory)

    assert start is not None
    assert (start.job.job_id, start.slot.gpus, start.slot.start_by) == ("long", ("3",), None)


def test_a_job_does_not_use_up_the_limit_that_the_first_one_needs() -> None:
    limits = Limits(FOUR, max_running_per_token=1)
    inventory = Inventory(limits, (running("012", 500),))

    assert filled([queued("head", 3), queued("long")], inventory) is None


def test_a_job_whose_end_is_unknown_reserves_no_start() -> None:
    inventory = Inventory(Limits(FOUR), (running("01"), running("2", 500)))

    assert find_reservation(queued("head", 4), inventory, NOW) is None


def test_a_job_that_fills_a_gap_does_not_make_the_first_one_be_skipped() -> None:
    limits = Limits(FOUR, max_running_per_token=1)
    inventory = Inventory(limits, (running("012", 500),))
    jobs = [queued("head", 4), queued("short of the same token", timeout_s=100)]

    assert filled(jobs, inventory) is None


def test_a_gap_is_filled_while_a_gpu_is_quarantined() -> None:
    inventory = Inventory(
        Limits(FOUR), (running("01", 500),), {"2": "is quarantined"}, frozenset("2")
    )

    start = filled([queued("head", 3), queued("short", timeout_s=100)], inventory)

    assert start is not None
    assert (start.job.job_id, start.slot.gpus) == ("short", ("3",))


def test_a_quarantined_gpu_is_not_counted_on_when_its_job_ends() -> None:
    inventory = Inventory(
        Limits(FOUR), (running("0", 100), running("12", 500)), quarantined=frozenset("0")
    )

    reserved = find_reservation(queued("head", 2), inventory, NOW)

    assert reserved is not None
    assert reserved.at == NOW + 500


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
