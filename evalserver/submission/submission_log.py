"""The lines of the server's log about submitted jobs."""

import asyncio

import structlog

from evalserver.core.job import NewJob

log = structlog.get_logger("evalserver.submission")


class SubmissionLog:
    """Writes a line for each submitted job once the responses of the moment are sent.

    Jobs that are written to the database together are logged together, in half of the time.
    """

    def __init__(self) -> None:
        self._submitted: list[NewJob] = []

    def add(self, job: NewJob) -> None:
        """Log a job in the next round of the event loop."""
        if not self._submitted:
            asyncio.get_running_loop().call_soon(self._write)
        self._submitted.append(job)

    def _write(self) -> None:
        submitted, self._submitted = self._submitted, []
        for job in submitted:
            request = job.request
            tasks = ",".join(request.tasks)
            log.info("job submitted", job=job.job_id, model=request.model, tasks=tasks)
