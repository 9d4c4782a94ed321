"""Reading the audit log in order, as the server does for its followers."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from evalserver.core.lifecycle import EventKind
from evalserver.store.json_text import json_text
from evalserver.store.readers import Readers


@dataclass(frozen=True)
class Event:
    """One event, without its hashes."""

    event_id: int
    at: str
    actor: str
    job_id: str
    event: str
    from_status: str | None
    to_status: str | None
    attempt: int
    detail: dict[str, Any]


COLUMNS = "event_id, at, actor, job_id, event, from_status, to_status, attempt, detail"


class EventLog:
    """Reads the audit log."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    async def after(self, after: int, most: int = 500, job_id: str | None = None) -> list[Event]:
        """The first ``most`` events of jobs with an id above ``after``, of one job or of all."""
        of_job = "event <> 'archived'" if job_id is None else "job_id = :job_id"
        return await self._first(of_job, {"after": after, "most": most, "job_id": job_id})

    async def of_kinds(
        self, kinds: Collection[EventKind], after: int, most: int = 500
    ) -> list[Event]:
        """The first ``most`` events of these kinds with an id above ``after``."""
        test = "event IN (SELECT value FROM json_each(:kinds))"
        values = {"after": after, "most": most, "kinds": json_text(sorted(kinds))}
        return await self._first(test, values)

    async def _first(self, test: str, values: Mapping[str, Any]) -> list[Event]:
        rows = await self._readers.fetch(
            f"SELECT {COLUMNS} FROM job_events WHERE event_id > :after AND {test}"  # noqa: S608
            " ORDER BY event_id LIMIT :most",
            values,
        )
        return [event_of(row) for row in rows]

    async def newest_id(self) -> int:
        """The id of the newest event of a job, the last one that ``after`` returns; 0 when there is
        none."""
        rows = await self._readers.fetch(
            "SELECT event_id FROM job_events WHERE event <> 'archived'"
            " ORDER BY event_id DESC LIMIT 1"
        )
        return int(rows[0]["event_id"]) if rows else 0


def event_of(row: Mapping[str, Any]) -> Event:
    """The event in a row of ``COLUMNS``."""
    return Event(**{**dict(row), "detail": orjson.loads(row["detail"])})
