"""The Prometheus metrics of the server, called instruments: all of them in one table.

Counters and histograms are updated by the events of the store; gauges are read for each scrape.
(The table ``metrics`` of the database has the metrics of evaluations instead.)
"""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector
from prometheus_client.exposition import choose_encoder

from evalserver.core.job import LOCAL, Job
from evalserver.core.lifecycle import FINISHED, EventKind, Status
from evalserver.monitoring.cluster_metrics import CLUSTER_TABLE, ClusterValues, set_cluster_gauges
from evalserver.monitoring.gpu_metrics import GPU_TABLE, GpuValues, set_gpu_gauges
from evalserver.monitoring.instrument import Instrument, M
from evalserver.monitoring.warm_metrics import STARTS, WARM_TABLE, WarmValues, set_warm_gauges
from evalserver.monitoring.webhook_metrics import ATTEMPTS, WEBHOOK_TABLE, set_webhook_gauges
from evalserver.runner.launch_spec import ColdStart
from evalserver.store import Commit, CommittedEvent
from evalserver.version import __version__

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


JOBS = Instrument(Gauge, "evalserver_jobs", "Jobs in the database.", ("status",))
QUEUE_SIZE = Instrument(Gauge, "evalserver_queue_size", "Queued jobs.")
QUEUE_AGE = Instrument(
    Gauge,
    "evalserver_queue_oldest_age_seconds",
    "Age of the queued job that was submitted first; 0 if none is queued.",
)
DRAINING = Instrument(
    Gauge,
    "evalserver_draining",
    "1 while the server is draining: it accepts jobs and starts none; else 0.",
)
RUNNING = Instrument(Gauge, "evalserver_running_evaluations", "Running evaluations.")
STALLED = Instrument(
    Gauge, "evalserver_stalled_evaluations", "Running evaluations that have stalled."
)
STALLS = Instrument(
    Counter,
    "evalserver_stalls_total",
    "Evaluations that stalled: nothing was written and no GPU used for a time.",
    ("engine",),
)
SUBMITTED = Instrument(Counter, "evalserver_submissions_total", "Submitted jobs.", ("engine",))
FINISHED_JOBS = Instrument(
    Counter, "evalserver_finished_total", "Finished jobs.", ("engine", "status")
)
FAILURES = Instrument(
    Counter,
    "evalserver_job_failures_total",
    "Failed jobs by the code of their failure.",
    ("code",),
)
INTERRUPTED = Instrument(
    Counter,
    "evalserver_interruptions_total",
    "Lost attempts whose jobs were queued again.",
    ("engine",),
)
DURATION = Instrument(
    Histogram,
    "evalserver_evaluation_duration_seconds",
    "Time from the start of a job's last attempt to its end.",
    ("engine", "status"),
    (MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR, DAY, 2 * DAY, 7 * DAY),
)
WAIT = Instrument(
    Histogram,
    "evalserver_queue_wait_seconds",
    "Time from the submission of a job to the start of its first attempt.",
    (),
    (1, 10, MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 4 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY),
)
GAP = Instrument(
    Histogram,
    "evalserver_dispatch_gap_seconds",
    "Time from the end of an evaluation to the start of the next runner, if a job was queued.",
    (),
    (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, MINUTE),
)
BATCH = Instrument(
    Histogram,
    "evalserver_store_batch_units",
    "Units of work written in one transaction.",
    (),
    (1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
)
COMMIT = Instrument(
    Histogram,
    "evalserver_store_commit_seconds",
    "Time of the COMMIT of a transaction, which depends on the disk.",
    (),
    (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)
FAULT = Instrument(
    Gauge, "evalserver_store_fault", "1 while the database cannot be written or read, else 0."
)
RESPONSE = Instrument(
    Histogram,
    "evalserver_http_request_duration_seconds",
    "Time from the arrival of a request to the beginning of its response.",
    ("method", "route", "status"),
    (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
STREAMS = Instrument(Gauge, "evalserver_event_streams", "Open event streams and long polls.")
BUILD = Instrument(Info, "evalserver_build", "Versions of evalserver and Python.")

TABLE: tuple[Instrument[Any], ...] = (
    *(
        JOBS,
        QUEUE_SIZE,
        QUEUE_AGE,
        DRAINING,
        RUNNING,
        STALLED,
        STALLS,
        SUBMITTED,
        FINISHED_JOBS,
        FAILURES,
        INTERRUPTED,
        DURATION,
    ),
    *GPU_TABLE,
    *CLUSTER_TABLE,
    *WARM_TABLE,
    *WEBHOOK_TABLE,
    *(WAIT, GAP, BATCH, COMMIT, FAULT, RESPONSE, STREAMS, BUILD),
)


@dataclass(frozen=True)
class GaugeValues:
    """The values of the gauges at one time. ``jobs`` is empty if the database cannot be read."""

    jobs: Mapping[Status, int]
    queue_size: int
    oldest_age_s: float
    draining: bool
    running: int
    stalled: int
    fault: bool
    streams: int
    gpus: Sequence[GpuValues] = ()
    clusters: Sequence[ClusterValues] = ()
    warm_parents: Sequence[WarmValues] = ()
    webhook_messages: Mapping[str, int] = field(default_factory=dict)


class Instruments:
    """The instruments of one application, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._made = {row: row.create(self._registry) for row in TABLE}
        self._labelled: dict[tuple[object, ...], Any] = {}
        self._last_end: str | None = None
        self[BUILD].info({"version": __version__, "python": platform.python_version()})
        ProcessCollector(registry=self._registry)

    def __getitem__(self, row: Instrument[M]) -> M:
        made: M = self._made[row]
        return made

    def labelled(self, row: Instrument[M], *labels: object) -> M:
        """Return an instrument with these labels, cached because the library looks it up slowly."""
        key = (row, *labels)
        found: M | None = self._labelled.get(key)
        if found is None:
            found = self._labelled[key] = self[row].labels(*map(str, labels))
        return found

    def exposition(self, values: GaugeValues, accept: str) -> tuple[bytes, str]:
        """Return all values as text in the format for an ``Accept`` header, and its content type.
        Takes milliseconds, and can be called in a thread."""
        self._set(values)
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def on_event(self, event: CommittedEvent) -> None:
        """Count an event of a job; called by the store."""
        if event.kind is EventKind.SUBMITTED:
            self.labelled(SUBMITTED, event.engine).inc()
        elif event.kind in (EventKind.CLAIMED, EventKind.STARTED) and event.attempt == 1:
            self[WAIT].observe(_seconds(event.created_at, event.started_at))
        elif event.kind is EventKind.INTERRUPTED:
            self.labelled(INTERRUPTED, event.engine).inc()
        elif event.kind is EventKind.STALLED:
            self.labelled(STALLS, event.engine).inc()
        elif event.kind is EventKind.RETRIED:
            # The job may have been queued only now, so the time before is no gap.
            self._last_end = None
        elif event.after in FINISHED and event.before is not event.after:
            self._on_end(event)

    def on_start(self, job: Job, at: str) -> None:
        """Record that an evaluation of the job was started; called by the scheduler."""
        if job.executor != LOCAL:
            return
        if self._last_end is not None and job.created_at <= self._last_end:
            self[GAP].observe(_seconds(self._last_end, at))
        self._last_end = None

    def on_runner_start(self, cold: ColdStart | None) -> None:
        """Count the start of an attempt on this machine; None: it was started warm."""
        if cold is None:
            self.labelled(STARTS, "warm", "").inc()
        else:
            self.labelled(STARTS, "cold", cold.code).inc()

    def on_webhook_attempt(self, *, is_delivered: bool) -> None:
        """Count an attempt to deliver a message to a webhook."""
        self.labelled(ATTEMPTS, "delivered" if is_delivered else "failed").inc()

    def on_commit(self, commit: Commit) -> None:
        """Record a transaction; called by the store."""
        self[BATCH].observe(commit.units)
        self[COMMIT].observe(commit.seconds)

    def on_response(self, method: str, route: str, status: int, seconds: float) -> None:
        """Record a response. ``route`` is the pattern of the path, because clients could invent any
        number of paths."""
        self.labelled(RESPONSE, method, route, status).observe(seconds)

    def _on_end(self, event: CommittedEvent) -> None:
        labels = (event.engine, event.after)
        self.labelled(FINISHED_JOBS, *labels).inc()
        if event.after is Status.FAILED and event.failure is not None:
            self.labelled(FAILURES, event.failure).inc()
        if event.before is Status.RUNNING:
            self.labelled(DURATION, *labels).observe(_seconds(event.started_at, event.completed_at))
            if event.executor == LOCAL:
                self._last_end = event.completed_at

    def _set(self, values: GaugeValues) -> None:
        if not values.jobs:
            self[JOBS].clear()
        for status, count in values.jobs.items():
            self[JOBS].labels(status.value).set(count)
        self[QUEUE_SIZE].set(values.queue_size)
        self[QUEUE_AGE].set(values.oldest_age_s)
        self[DRAINING].set(values.draining)
        self[RUNNING].set(values.running)
        self[STALLED].set(values.stalled)
        self[FAULT].set(values.fault)
        self[STREAMS].set(values.streams)
        set_gpu_gauges(self._made, values.gpus)
        set_cluster_gauges(self._made, values.clusters)
        set_warm_gauges(self._made, values.warm_parents)
        set_webhook_gauges(self._made, values.webhook_messages)


def _seconds(begin: str | None, end: str | None) -> float:
    """Return the seconds between two times of the store; 0 if the clock was set back."""
    if begin is None or end is None:
        return 0.0
    return max(0.0, (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds())
