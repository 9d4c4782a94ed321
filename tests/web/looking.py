"""A job that is looked for in the index of the queue again and again, as long as a test needs."""

import asyncio

import pytest

from evalserver.scheduling.queue_index import QueueIndex
from evalserver.web.api import jobs


def looked_for(queue: QueueIndex, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Set once the index was asked for a position; from now on it is asked without end."""
    looked = asyncio.Event()
    position = queue.position

    def look(job_id: str) -> int | None:
        looked.set()
        return position(job_id)

    monkeypatch.setattr(queue, "position", look)
    monkeypatch.setattr(jobs, "LOOKS", 1_000_000)
    return looked
