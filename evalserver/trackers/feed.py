"""Which jobs have finished, in the order of the audit log.

The events of the log are followed, not the list of jobs: a job that was pruned while the follower
was away is no longer in the list, but its event and its numbers are kept.
"""

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus

from evalserver.client import EvalClient, NotFound, Pruned, RequestFailed
from evalserver.trackers.records import Json, Record, record_of

FINISHING = ("completed", "failed", "cancelled")
"""The events with which jobs finish; also the statuses of finished jobs."""


@dataclass(frozen=True)
class Entry:
    """An event that has been read; ``record`` is what to send of it, if anything."""

    event_id: int
    record: Record | None = None


class Feed:
    """Reads events of a server, and the jobs that finished with them."""

    def __init__(self, client: EvalClient, site: str) -> None:
        self._client = client
        self._site = site

    def newest_event_id(self) -> int:
        """Return the id of the newest event now. Raises the client's errors."""
        return self._client.newest_event_id()

    def entries(self, after: int) -> Generator[Entry, None, None]:
        """Yield an entry for each event after this one, without end. Raises the client's errors."""
        with closing(self._client.events(last_event_id=after)) as events:
            for event in events:
                if event.kind != "status":
                    continue
                finished = event.data["event"] in FINISHING
                yield Entry(event.id, self._record(event.data) if finished else None)

    def _record(self, event: Json) -> Record | None:
        """Return the job as it finished with an event; None if that is no longer known.

        A retried job has lost the numbers of its earlier attempt, and will finish again.
        """
        job_id, event_id = event["job_id"], event["event_id"]
        try:
            job: Json | None = self._client.get_job(job_id)
        except Pruned:
            job = self._kept(job_id)
        except NotFound:
            return None
        if job is None or not _is_as_in(job, event):
            return None
        results = job if "results" in job else self._results(job)
        if job["status"] == "completed" and (results is None or not _is_as_in(results, event)):
            return None
        return record_of(job, results, event_id, self._site)

    def _kept(self, job_id: str) -> Json | None:
        """Return the results that are kept of a pruned job; None if there are none."""
        try:
            return self._client.get_results(job_id)
        except RequestFailed as error:
            if error.status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE, HTTPStatus.CONFLICT):
                return None
            raise

    def _results(self, job: Json) -> Json | None:
        return self._kept(job["job_id"]) if job["status"] == "completed" else None


def _is_as_in(job: Json, event: Json) -> bool:
    return bool(job["status"] == event["to"] and job["attempt"] == event["attempt"])
