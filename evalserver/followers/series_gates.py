"""Follows the audit log to judge each completed job of a series that has a gate."""

from collections.abc import Callable, Mapping

import structlog

from evalserver.core.lifecycle import SERVER, Status
from evalserver.engines import Engine
from evalserver.gates.series_gate import SeriesGate, judge_in_series
from evalserver.runner.crash_point import crash_point
from evalserver.store import Event, IllegalTransition, Store

log = structlog.get_logger("evalserver.followers")

GateOf = Callable[[str | None], SeriesGate | None]
"""The gate of a series, by its name."""


class SeriesGates:
    """Handles the events of completed jobs. The store keeps one verdict for each attempt and
    policy, so that an event which is handled again changes nothing."""

    def __init__(self, store: Store, engines: Mapping[str, Engine], gate_of: GateOf) -> None:
        self._store = store
        self._engines = engines
        self._gate_of = gate_of

    async def __call__(self, event: Event) -> None:
        """Judge the job that has completed, if it is still there and its series has a gate.

        Raises StoreUnavailable.
        """
        queries = self._store.queries
        job = await queries.find(event.job_id) or await queries.find_pruned(event.job_id)
        gate = None if job is None else self._gate_of(job.series)
        if job is None or gate is None or gate.baseline == job.job_id:
            return
        if job.status is not Status.COMPLETED or job.attempt != event.attempt:
            return  # It was retried, and is judged when it has completed again.
        judged = await judge_in_series(gate, job, self._store, self._engines)
        crash_point("series_judged")
        try:
            kept = await self._store.gates.keep(judged.to_keep(by_series=True), SERVER)
        except IllegalTransition:
            log.info("the job changed while it was judged", job=job.job_id)
            return
        crash_point("series_verdict_kept")
        log.info("judged a job", job=job.job_id, verdict=kept.verdict, policy=kept.policy)
