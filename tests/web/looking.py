"""A queue index that never stops being queried for a job's position."""

import asyncio

import pytest

from evalserver.scheduling.queue_index import QueueIndex
from evalserver.web.api import jobs


def looked_for(queue: QueueIndex, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Return an event that is set by the first query for a position; queries are retried
    endlessly."""
    looked = asyncio.Event()
    position = queue.position

    def look(job_id: str) -> int | None:
        looked.set()
        return position(job_id)

    monkeypatch.setattr(queue, "position", look)
    monkeypatch.setattr(jobs, "LOOKS", 1_000_000)
    return looked
