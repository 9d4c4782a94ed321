"""What the server measures of itself, for Prometheus: every instrument in one table.

Counters and histograms follow the store's events as they come; gauges are read when somebody asks.
(The table ``metrics`` of the database is something else: the numbers of the evaluations.)
"""

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector
from prometheus_client.exposition import choose_encoder

from evalserver.core.job import Job
from evalserver.core.lifecycle import FINISHED, EventKind, Status
from evalserver.store import Commit, CommittedEvent
from evalserver.version import __version__

M = TypeVar("M", Counter, Gauge, Histogram, Info)

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


@dataclass(frozen=True, eq=False)
class Instrument(Generic[M]):
    """A row of the table: its kind, name, meaning and labels; for a histogram the upper bounds of
    its buckets."""

    kind: type[M]
    name: str
    meaning: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()

    def make(self, registry: CollectorRegistry) -> M:
        """The instrument itself, at zero."""
        options: dict[str, Any] = {"buckets": self.bounds} if self.bounds else {}
        return self.kind(self.name, self.meaning, self.labels, registry=registry, **options)


JOBS = Instrument(Gauge, "evalserver_jobs", "Jobs that the server keeps.", ("status",))
QUEUE_SIZE = Instrument(Gauge, "evalserver_queue_size", "Jobs that wait for their turn.")
OLDEST = Instrument(
    Gauge,
    "evalserver_queue_oldest_age_seconds",
    "Age of the earliest submission among the jobs that wait; 0 when none does.",
)
DRAINING = Instrument(
    Gauge, "evalserver_draining", "1 while the server takes jobs and starts none, else 0."
)
RUNNING = Instrument(Gauge, "evalserver_running_evaluations", "Evaluations that run.")
SUBMITTED = Instrument(
    Counter, "evalserver_submissions_total", "Jobs that were submitted.", ("engine",)
)
ENDED = Instrument(
    Counter, "evalserver_finished_total", "Jobs that finished.", ("engine", "status")
)
INTERRUPTED = Instrument(
    Counter,
    "evalserver_interruptions_total",
    "Attempts that were lost, and their jobs queued again.",
    ("engine",),
)
DURATION = Instrument(
    Histogram,
    "evalserver_evaluation_duration_seconds",
    "From the claim of a job's last attempt to its end.",
    ("engine", "status"),
    (MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR, DAY, 2 * DAY, 7 * DAY),
)
WAIT = Instrument(
    Histogram,
    "evalserver_queue_wait_seconds",
    "From a job's submission to the claim of its first attempt.",
    (),
    (1, 10, MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 4 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY),
)
GAP = Instrument(
    Histogram,
    "evalserver_dispatch_gap_seconds",
    "From the end of an evaluation to the start of the next one's runner, when one was waiting.",
    (),
    (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, MINUTE),
)
BATCH = Instrument(
    Histogram,
    "evalserver_store_batch_units",
    "Units of work that were written in one transaction.",
    (),
    (1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
)
COMMIT = Instrument(
    Histogram,
    "evalserver_store_commit_seconds",
    "What the COMMIT of a transaction took: the disk.",
    (),
    (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)
FAULT = Instrument(
    Gauge, "evalserver_store_fault", "1 while the database cannot be written or read, else 0."
)
ANSWER = Instrument(
    Histogram,
    "evalserver_http_request_duration_seconds",
    "From a request's arrival to the beginning of its answer.",
    ("method", "route", "status"),
    (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
STREAMS = Instrument(
    Gauge, "evalserver_event_streams", "Clients that wait for news: event streams and long polls."
)
BUILD = Instrument(Info, "evalserver_build", "Which evalserver runs, under which Python.")

TABLE: tuple[Instrument[Any], ...] = (
    *(JOBS, QUEUE_SIZE, OLDEST, DRAINING, RUNNING, SUBMITTED, ENDED, INTERRUPTED, DURATION),
    *(WAIT, GAP, BATCH, COMMIT, FAULT, ANSWER, STREAMS, BUILD),
)


@dataclass(frozen=True)
class Levels:
    """What the gauges show, as it is at one moment. ``jobs`` is empty when the database cannot be
    read."""

    jobs: Mapping[Status, int]
    queue_size: int
    oldest_age_s: float
    draining: bool
    running: int
    fault: bool
    streams: int


class Instruments:
    """The instruments of one application. Nothing in it is shared with another."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._made = {row: row.make(self._registry) for row in TABLE}
        self._labelled: dict[tuple[object, ...], Any] = {}
        self._last_end: str | None = None
        self[BUILD].info({"version": __version__, "python": platform.python_version()})
        ProcessCollector(registry=self._registry)

    def __getitem__(self, row: Instrument[M]) -> M:
        made: M = self._made[row]
        return made

    def of(self, row: Instrument[M], *labels: object) -> M:
        """The instrument of these labels: its own look-up takes longer than all else here."""
        key = (row, *labels)
        found: M | None = self._labelled.get(key)
        if found is None:
            found = self._labelled[key] = self[row].labels(*map(str, labels))
        return found

    def exposition(self, levels: Levels, accept: str) -> tuple[bytes, str]:
        """All that was measured, as text in the format that an ``Accept`` header asks for, and the
        content type of that. Takes milliseconds, and may be called in a thread."""
        self._set(levels)
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def on_event(self, event: CommittedEvent) -> None:
        """Count a change of a job; a listener of the store."""
        if event.kind is EventKind.SUBMITTED:
            self.of(SUBMITTED, event.engine).inc()
        elif event.kind is EventKind.CLAIMED and event.attempt == 1:
            self[WAIT].observe(_seconds(event.created_at, event.started_at))
        elif event.kind is EventKind.INTERRUPTED:
            self.of(INTERRUPTED, event.engine).inc()
        elif event.kind is EventKind.RETRIED:
            # It may have been queued only now: the time before is no gap.
            self._last_end = None
        elif event.after in FINISHED:
            self._on_end(event)

    def on_start(self, job: Job, at: str) -> None:
        """An evaluation of the job was started; a listener of the scheduler."""
        if self._last_end is not None and job.created_at <= self._last_end:
            self[GAP].observe(_seconds(self._last_end, at))
        self._last_end = None

    def on_commit(self, commit: Commit) -> None:
        """Note a transaction; a watcher of the store."""
        self[BATCH].observe(commit.units)
        self[COMMIT].observe(commit.seconds)

    def on_response(self, method: str, route: str, status: int, seconds: float) -> None:
        """Note an answer. ``route`` is the pattern of the path, never the path itself: a client
        could make up any number of those."""
        self.of(ANSWER, method, route, status).observe(seconds)

    def _on_end(self, event: CommittedEvent) -> None:
        labels = (event.engine, event.after)
        self.of(ENDED, *labels).inc()
        if event.before is Status.RUNNING:
            self.of(DURATION, *labels).observe(_seconds(event.started_at, event.completed_at))
            self._last_end = event.completed_at

    def _set(self, levels: Levels) -> None:
        if not levels.jobs:
            self[JOBS].clear()
        for status, count in levels.jobs.items():
            self[JOBS].labels(status.value).set(count)
        self[QUEUE_SIZE].set(levels.queue_size)
        self[OLDEST].set(levels.oldest_age_s)
        self[DRAINING].set(levels.draining)
        self[RUNNING].set(levels.running)
        self[FAULT].set(levels.fault)
        self[STREAMS].set(levels.streams)


def _seconds(begin: str | None, end: str | None) -> float:
    """From one time to another, as the store writes them; 0 when the clock was set back."""
    if begin is None or end is None:
        return 0.0
    return max(0.0, (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds())
