"""A queue index that never stops being queried for a job's position."""

import asyncio

import pytest

from evalserver.scheduling.queue_index import QueueIndex
from evalserver.web.api import jobs


def endless_lookups(queue: QueueIndex, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Return an event that is set by the first query for a position; queries are retried
    endlessly."""
    first_lookup = asyncio.Event()
    position = queue.position

    def look(job_id: str) -> int | None:
        first_lookup.set()
        return position(job_id)

    monkeypatch.setattr(queue, "position", look)
    monkeypatch.setattr(jobs, "MAX_READS", 1_000_000)
    return first_lookup
