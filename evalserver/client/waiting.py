"""Waiting for a job to finish."""

import math
from collections.abc import Callable
from typing import Any

from evalserver.client.errors import (
    JobCancelled,
    JobFailed,
    Json,
    RequestFailed,
    ServerUnreachable,
)
from evalserver.client.evaluations import EvaluationCalls, job_path
from evalserver.client.sending import Call

MAX_LONG_POLL_SECONDS = 60.0
"""The longest wait of a long poll that the server allows."""

MIN_POLL_SECONDS = 0.1

GRACE_SECONDS = 5.0
"""How long the last response may take beyond the timeout."""


class WaitingCalls(EvaluationCalls):
    """Calls that wait for a job."""

    async def wait_for_job(
        self,
        job_id: str,
        poll_interval: float = 5.0,
        timeout: float | None = None,  # noqa: ASYNC109 - lmms-eval's name
        verbose: bool = True,
        *,
        on_look: Callable[[Json], Any] | None = None,
    ) -> Json:
        """Return the record of the job once it is completed.

        The server responds at once when the job changes (long poll), and is polled again after
        ``poll_interval`` seconds for the progress. A server without long polls (lmms-eval's) is
        polled every ``poll_interval`` seconds. It may be unreachable for as long as the client
        retries. ``verbose`` prints changes; ``on_look`` is called with each record.

        Raises JobFailed with the job's error and the end of its log, JobCancelled, TimeoutError
        after ``timeout`` seconds, NotFound for an unknown job, Pruned for one that the server has
        removed, ServerUnreachable.

        >>> job = client.wait_for_job(job_id, verbose=False)
        >>> job["result"]["dummy"]["metrics"]["mme"]["acc,none"]
        0.5
        """
        now = self._sender.transport.now
        poll_interval = max(poll_interval, MIN_POLL_SECONDS)
        deadline = math.inf if timeout is None else now() + timeout
        tell = _StatusPrinter(job_id, on_look, verbose=verbose)
        seen: int | None = None
        while True:
            began = now()
            hold_s = max(0.0, min(poll_interval, MAX_LONG_POLL_SECONDS, deadline - began))
            job = await self._poll(job_id, seen, hold_s, deadline)
            tell(job)
            _raise_unless_successful(job)
            if job["status"] == "completed":
                return job
            if now() >= deadline:
                raise _timeout(job_id, f"it is {job['status']}")
            newest = job.get("event_id")
            # A server without long polls, or one that is stopping, responds at once.
            held = now() - began >= hold_s / 2
            if newest is None or (newest == seen and not held):
                rest_s = min(began + poll_interval, deadline) - now()
                await self._sender.transport.sleep(max(0.0, rest_s))
            seen = newest

    async def _poll(self, job_id: str, seen: int | None, hold_s: float, deadline: float) -> Json:
        last = deadline + GRACE_SECONDS
        look = Call("GET", job_path(job_id), deadline=last)
        if seen is not None:
            query = {"wait": f"{hold_s:.3f}", "since": seen}
            look = Call("GET", job_path(job_id), query, server_wait_s=hold_s, deadline=last)
        gives_up_first = deadline - self._sender.transport.now() > self._sender.limit_s
        try:
            return await self._sender.answer(look)
        except (RequestFailed, ServerUnreachable) as error:
            temporary = error.temporary if isinstance(error, RequestFailed) else True
            if gives_up_first or not temporary:
                raise
            raise _timeout(job_id, str(error)) from error


class _StatusPrinter:
    """Prints the status when it changes, and calls ``on_look``."""

    def __init__(
        self, job_id: str, on_look: Callable[[Json], Any] | None, *, verbose: bool
    ) -> None:
        self._job_id = job_id
        self._on_look = on_look
        self._verbose = verbose
        self._told = ""

    def __call__(self, job: Json) -> None:
        if self._on_look is not None:
            self._on_look(job)
        line = f"Job {self._job_id} {_describe(job)}"
        if self._verbose and line != self._told:
            print(line, flush=True)
            self._told = line


def _describe(job: Json) -> str:
    status = job["status"]
    if status == "queued":
        return f"queued (position: {job.get('position_in_queue')})"
    progress = job.get("progress")
    if status != "running" or not progress:
        return str(status)
    fraction = progress.get("fraction")
    done = "" if fraction is None else f" {fraction:.0%}"
    return f"running ({progress['stage']}{done})"


def _raise_unless_successful(job: Json) -> None:
    if job["status"] == "failed":
        raise JobFailed(job)
    if job["status"] == "cancelled":
        raise JobCancelled(job)


def _timeout(job_id: str, why: str) -> TimeoutError:
    return TimeoutError(f"Timeout waiting for job {job_id}: {why}")
