"""Reading events of the audit log in order, each checked against the previous ones."""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evalserver.store.chain import Chain
from evalserver.store.replay import Replay


@dataclass(frozen=True)
class Problem:
    """The first bad row, and an explanation of what is wrong with it."""

    message: str
    event_id: int | None = None
    job_id: str | None = None


def read_events(database: sqlite3.Connection, chain: Chain, replay: Replay) -> Problem | None:
    """Follow and replay the events after those of the chain. Returns the first problem."""
    rows = database.execute(
        "SELECT * FROM job_events WHERE event_id > ? ORDER BY event_id", (chain.last_id,)
    )
    try:
        for event in rows:
            problem = _check_event(event, chain, replay)
            if problem is not None:
                return problem
    except sqlite3.DatabaseError as error:
        expected = chain.last_id + 1
        return Problem(f"event {expected}: it cannot be read: {error}", expected)
    return None


def _check_event(event: Mapping[str, Any], chain: Chain, replay: Replay) -> Problem | None:
    number, expected = event["event_id"], chain.last_id + 1
    if number != expected:
        return Problem(f"event {expected}: it is missing; the next one is {number}", expected)
    fault = chain.follow(event) or replay.play(event)
    if fault is None:
        return None
    job_id = event["job_id"]
    return Problem(f"event {number} ({event['event']}, job {job_id}): {fault}", number, job_id)
