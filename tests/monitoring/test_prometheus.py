"""Metrics of the store's events, of starts and of commits."""

from dataclasses import replace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from evalserver.core.job import Job
from evalserver.core.lifecycle import TRANSITIONS, EventKind, Status
from evalserver.core.request import EvaluateRequest
from evalserver.monitoring.cluster_metrics import ClusterValues
from evalserver.monitoring.prometheus import GaugeValues, Instruments
from evalserver.store import Commit, CommittedEvent

NOTHING = GaugeValues({}, 0, 0.0, False, 0, 0, False, 0)


def clock(seconds: float) -> str:
    """Return a time of day as the store writes it."""
    return f"2030-01-01T00:{int(seconds) // 60:02}:{seconds % 60:06.3f}+00:00"


def event(
    kind: EventKind,
    before: Status | None = Status.RUNNING,
    attempt: int = 1,
    created: float = 0,
    started: float = 0,
    ended: float = 0,
) -> CommittedEvent:
    """Return an event of a job with these times, in seconds."""
    after = TRANSITIONS[kind].moves[before]
    times = (clock(created), clock(started), clock(ended))
    return CommittedEvent(
        1, kind, "id", 1, 0, before, after, "lm_eval", attempt, *times, "alice", 2
    )


def job(created: float) -> Job:
    """Return a job that was submitted at that second."""
    request = EvaluateRequest("dummy", ("mme",))
    nothing: dict[str, Any] = dict.fromkeys(
        ("started_at", "completed_at", "cancel_requested_at", "run_dir", "output_dir", "exit_code",
         "error", "result", "provenance")
    )  # fmt: skip
    return Job(
        seq=1, job_id="id", status=Status.RUNNING, engine="lm_eval", priority=0, labels={},
        request=request, submitted_by="alice", created_at=clock(created), attempt=1,
        max_attempts=2, event_id=2, **nothing,
    )  # fmt: skip


def ended(status: str) -> dict[str, str]:
    """Return the labels of jobs that ended with a status."""
    return {"engine": "lm_eval", "status": status}


def sample_value(instruments: Instruments, name: str, **labels: str) -> float:
    """Return the value of one sample of the exposition, or 0 if it is missing."""
    return gauge_value(NOTHING, instruments, name, **labels)


def gauge_value(levels: GaugeValues, instruments: Instruments, name: str, **labels: str) -> float:
    """Return the value of one sample after the gauges were set to these levels."""
    text, _ = instruments.exposition(levels, accept="")
    found = [
        sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
        if sample.name == name and sample.labels == labels
    ]
    return found[0] if found else 0.0


def gap(instruments: Instruments) -> tuple[float, float]:
    """Return the number of gaps, and their total seconds."""
    name = "evalserver_dispatch_gap_seconds"
    return sample_value(instruments, f"{name}_count"), sample_value(instruments, f"{name}_sum")


def test_what_waits_and_runs_on_a_cluster_is_a_gauge_beside_whether_it_can_be_reached() -> None:
    values = replace(NOTHING, clusters=[ClusterValues("gpu-cluster", False, 3, 2)])
    instruments = Instruments()

    where = {"executor": "gpu-cluster"}
    assert gauge_value(values, instruments, "evalserver_cluster_reachable", **where) == 0
    jobs = [
        gauge_value(values, instruments, "evalserver_cluster_jobs", **where, status=status)
        for status in ("queued", "running")
    ]
    assert jobs == [3, 2]


def test_a_job_of_a_cluster_waited_until_it_ran_there() -> None:
    instruments = Instruments()

    instruments.on_event(event(EventKind.HANDED_OVER, Status.QUEUED, created=5))
    instruments.on_event(event(EventKind.STARTED, Status.QUEUED, created=5, started=65))

    assert sample_value(instruments, "evalserver_queue_wait_seconds_sum") == 60


def test_submissions_are_counted_by_engine() -> None:
    instruments = Instruments()

    instruments.on_event(event(EventKind.SUBMITTED, before=None, attempt=0))

    assert sample_value(instruments, "evalserver_submissions_total", engine="lm_eval") == 1


@pytest.mark.parametrize("kind", [EventKind.COMPLETED, EventKind.FAILED, EventKind.CANCELLED])
def test_ends_are_counted_by_engine_and_status(kind: EventKind) -> None:
    instruments = Instruments()

    instruments.on_event(event(kind, started=10, ended=70))

    assert sample_value(instruments, "evalserver_finished_total", **ended(kind.value)) == 1
    duration = "evalserver_evaluation_duration_seconds_sum"
    assert sample_value(instruments, duration, **ended(kind.value)) == 60


def test_a_job_that_never_ran_has_no_duration() -> None:
    instruments = Instruments()

    instruments.on_event(event(EventKind.CANCELLED, before=Status.QUEUED))

    assert sample_value(instruments, "evalserver_finished_total", **ended("cancelled")) == 1
    duration = "evalserver_evaluation_duration_seconds_count"
    assert sample_value(instruments, duration, **ended("cancelled")) == 0


def test_a_wait_ends_with_the_first_claim() -> None:
    instruments = Instruments()

    instruments.on_event(event(EventKind.CLAIMED, Status.QUEUED, created=5, started=12))
    instruments.on_event(event(EventKind.CLAIMED, Status.QUEUED, attempt=2, started=300))

    assert sample_value(instruments, "evalserver_queue_wait_seconds_count") == 1
    assert sample_value(instruments, "evalserver_queue_wait_seconds_sum") == 7


def test_failed_jobs_are_counted_by_the_code_of_their_failure() -> None:
    instruments = Instruments()

    instruments.on_event(event(EventKind.FAILED)._replace(failure="disk_full"))
    instruments.on_event(event(EventKind.FAILED)._replace(failure="disk_full"))
    instruments.on_event(event(EventKind.COMPLETED))

    counted = sample_value(instruments, "evalserver_job_failures_total", code="disk_full")
    assert counted == 2


def test_interruptions_are_counted() -> None:
    instruments = Instruments()

    instruments.on_event(event(EventKind.INTERRUPTED))

    assert sample_value(instruments, "evalserver_interruptions_total", engine="lm_eval") == 1


def test_a_gap_lasts_from_an_end_to_the_next_start() -> None:
    instruments = Instruments()
    instruments.on_event(event(EventKind.COMPLETED, ended=20))

    instruments.on_start(job(created=1), clock(20.25))

    assert gap(instruments) == (1, 0.25)


def test_the_first_start_closes_no_gap() -> None:
    instruments = Instruments()

    instruments.on_start(job(created=1), clock(20))

    assert gap(instruments) == (0, 0)


def test_there_is_no_gap_if_the_queue_was_empty() -> None:
    instruments = Instruments()
    instruments.on_event(event(EventKind.COMPLETED, ended=20))

    instruments.on_start(job(created=30), clock(31))

    assert gap(instruments) == (0, 0)


def test_there_is_no_gap_if_the_next_job_was_retried_on_request() -> None:
    instruments = Instruments()
    instruments.on_event(event(EventKind.COMPLETED, ended=20))
    instruments.on_event(event(EventKind.RETRIED, Status.COMPLETED))

    instruments.on_start(job(created=1), clock(100))

    assert gap(instruments) == (0, 0)


def test_a_clock_that_is_set_back_gives_no_negative_duration() -> None:
    instruments = Instruments()
    instruments.on_event(event(EventKind.COMPLETED, ended=20))

    instruments.on_start(job(created=1), clock(19))

    assert gap(instruments) == (1, 0)


def test_the_size_and_duration_of_commits_are_observed() -> None:
    instruments = Instruments()

    instruments.on_commit(Commit(units=16, seconds=0.5))

    assert sample_value(instruments, "evalserver_store_batch_units_sum") == 16
    assert sample_value(instruments, "evalserver_store_commit_seconds_sum") == 0.5


def test_gauges_show_the_current_state() -> None:
    instruments = Instruments()
    levels = GaugeValues({Status.QUEUED: 3}, 3, 12.5, True, 1, 2, True, 200)

    assert gauge_value(levels, instruments, "evalserver_jobs", status="queued") == 3
    assert gauge_value(levels, instruments, "evalserver_queue_size") == 3
    assert gauge_value(levels, instruments, "evalserver_queue_oldest_age_seconds") == 12.5
    assert gauge_value(levels, instruments, "evalserver_draining") == 1
    assert gauge_value(levels, instruments, "evalserver_running_evaluations") == 1
    assert gauge_value(levels, instruments, "evalserver_stalled_evaluations") == 2
    assert gauge_value(levels, instruments, "evalserver_store_fault") == 1
    assert gauge_value(levels, instruments, "evalserver_event_streams") == 200


def test_two_applications_share_nothing() -> None:
    one, other = Instruments(), Instruments()

    one.on_event(event(EventKind.SUBMITTED, before=None))

    assert sample_value(other, "evalserver_submissions_total", engine="lm_eval") == 0
