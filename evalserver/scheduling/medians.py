"""Expected durations of jobs: the median of the newest completed jobs of the same kind.

A kind is engine, model, tasks, limit, number of GPUs and options. Medians are cached until a
completed job is added or removed.
"""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from evalserver.core.lifecycle import EventKind, Status
from evalserver.store import CommittedEvent, Kind, Known, Store

MAX_KINDS = 1000
MAX_KNOWN_JOBS = 1000


class Medians:
    """Reads and caches the expected durations of jobs, in seconds."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._medians: dict[Kind, float | None] = {}
        self._jobs: dict[str, Known] = {}
        self._changes = 0
        store.subscribe(self._on_event)

    async def of_kind(self, kind: Kind) -> float | None:
        """Return the median duration of a kind; None if no job of it has completed."""
        medians, changes = self._medians, self._changes
        if kind not in medians:
            seconds = await self._store.durations.of_kind(kind)
            found = median(seconds) if seconds else None
            if self._changes != changes:
                return found  # it is outdated already
            _clear_if_full(medians, MAX_KINDS)
            medians[kind] = found
        return medians[kind]

    async def of_jobs(self, job_ids: Sequence[str]) -> dict[str, float]:
        """Return the expected durations of jobs, as far as they are known."""
        known = await self.known(job_ids)
        found = {
            job_id: await self.of_kind(known[job_id].kind) for job_id in job_ids if job_id in known
        }
        return {job_id: seconds for job_id, seconds in found.items() if seconds is not None}

    async def known(self, job_ids: Sequence[str]) -> Mapping[str, Known]:
        """Return the kinds and starts of jobs; those that were pruned meanwhile are missing."""
        missing = [each for each in job_ids if each not in self._jobs]
        if not missing:
            return self._jobs
        changes = self._changes
        found = await self._store.durations.known(missing)
        known = {**self._jobs, **found}
        if self._changes == changes:
            _clear_if_full(self._jobs, MAX_KNOWN_JOBS)
            self._jobs.update(found)
        return known

    def _on_event(self, event: CommittedEvent) -> None:
        if event.kind is EventKind.SUBMITTED:
            return
        self._changes += 1
        self._jobs.pop(event.job_id, None)
        if Status.COMPLETED in (event.before, event.after):
            self._medians.clear()


def _clear_if_full(cache: dict[Any, Any], max_entries: int) -> None:
    if len(cache) >= max_entries:
        cache.clear()
