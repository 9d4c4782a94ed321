"""Calls for batches: many evaluations that are queued together."""

import math
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from evalserver.client.errors import Json
from evalserver.client.evaluations import task_list
from evalserver.client.listing import ListingCalls
from evalserver.client.retries import Repeat
from evalserver.client.sending import IDEMPOTENCY_KEY, Call

MAX_WAIT_SECONDS = 60.0
"""The longest wait that the server allows."""


def batch_path(batch_id: str) -> str:
    """Return the path of a batch."""
    return f"/batches/{quote(batch_id, safe='')}"


class BatchCalls(ListingCalls):
    """Calls for batches."""

    async def submit_batch(
        self,
        jobs: Sequence[Mapping[str, Any]] | None = None,
        *,
        sweep: Mapping[str, Any] | None = None,
        validate: bool = True,
        dry_run: bool = False,
        idempotency_key: str | None = None,
    ) -> Json:
        """Queue up to 1000 evaluations, all of them or none, in their order. Returns ``batch_id``,
        ``count``, ``job_ids`` and ``message``.

        ``jobs`` are requests: mappings with the fields of ``evaluate``. Or ``sweep`` has a ``base``
        request, and lists of values by field or ``field.name`` in ``over``; there is a job for each
        combination. As there, one task may be a string. With ``dry_run`` nothing is queued; the
        answer has the requests as ``jobs``.

        Two batches with the same ``idempotency_key`` are one; by default each call makes its own
        key, so that a retry of the client queues nothing twice. Raises RequestFailed when the batch
        is rejected; its text names the faults with the number of each request.

        >>> over = {"model_args.value": [0.25, 0.75]}
        >>> sweep = {"base": {"model": "dummy", "tasks": ["mme"]}, "over": over}
        >>> client.submit_batch(sweep=sweep)["count"]
        2
        """
        parts = {
            "jobs": None if jobs is None else [_request(job) for job in jobs],
            "sweep": None if sweep is None else _sweep(sweep),
        }
        query = {**({} if validate else {"validate": 0}), **({"dry_run": 1} if dry_run else {})}
        submission = Call(
            "POST",
            "/batches",
            query,
            body=_present(parts),
            headers={IDEMPOTENCY_KEY: idempotency_key or uuid.uuid4().hex},
            repeat=Repeat.WITH_KEY,
        )
        return await self._sender.answer(submission)

    async def batches(self, part: str | None = None, *, limit: int = 20) -> list[Json]:
        """Return the newest batches, as ``get_batch`` does; with ``part``, only those whose id
        begins or ends so (4 characters or more).

        >>> client.batches(batch_id[-8:])[0]["batch_id"] == batch_id
        True
        """
        query = {"batch_id": part, "limit": limit}
        return list((await self._sender.answer(Call("GET", "/batches", query)))["batches"])

    async def get_batch(self, batch_id: str, *, wait_s: float | None = None) -> Json:
        """Return how many jobs of a batch are in each state: ``counts``, ``count``, ``pruned`` and
        ``finished``.

        With ``wait_s`` (at most 60) the server responds when all jobs have finished, at the latest
        after so many seconds. Raises NotFound for an unknown batch.

        >>> client.get_batch(batch_id)["counts"]["completed"]
        2
        """
        look = Call("GET", batch_path(batch_id), {"wait": wait_s}, server_wait_s=wait_s or 0.0)
        return await self._sender.answer(look)

    async def wait_for_batch(
        self,
        batch_id: str,
        timeout: float | None = None,  # noqa: ASYNC109 - as wait_for_job
        *,
        poll_interval: float = 5.0,
        on_look: Callable[[Json], Any] | None = None,
    ) -> Json:
        """Return what ``get_batch`` does once all jobs of a batch have finished, with any outcome.

        ``on_look`` is called with each answer, at least every ``poll_interval`` seconds. Raises
        TimeoutError after ``timeout`` seconds, and NotFound for an unknown batch.

        >>> client.wait_for_batch(batch_id)["finished"]
        True
        """
        now = self._sender.transport.now
        deadline = math.inf if timeout is None else now() + timeout
        while True:
            began = now()
            wait_s = max(0.0, min(poll_interval, MAX_WAIT_SECONDS, deadline - began))
            batch = await self.get_batch(batch_id, wait_s=round(wait_s, 3))
            if on_look is not None:
                on_look(batch)
            if batch["finished"]:
                return batch
            if now() >= deadline:
                counts = batch["counts"]
                left = counts["queued"] + counts["running"]
                raise TimeoutError(f"Timeout waiting for batch {batch_id}: {left} jobs are left")
            # A server that is stopping responds at once.
            rest_s = began + wait_s - now()
            if rest_s > wait_s / 2:
                await self._sender.transport.sleep(rest_s)

    async def cancel_batch(self, batch_id: str) -> Json:
        """Cancel the jobs of a batch that have not finished.

        Returns how many are ``cancelled``, are being stopped (``stopping``), and had ``finished``,
        and a ``message``.

        >>> client.cancel_batch(batch_id)["finished"]
        2
        """
        return await self._sender.answer(Call("DELETE", batch_path(batch_id)))

    def batch_results(self, batch_id: str) -> AsyncGenerator[Json, None]:
        """Yield the metrics of the finished jobs of a batch: rows as ``results`` has them, with
        ``job_id``, ``status``, ``model`` and ``labels``.

        >>> [row["value"] for row in client.batch_results(batch_id)]
        [0.25, 0.75]
        """
        return self._rows(f"{batch_path(batch_id)}/results", {}, "results")


def _request(fields: Mapping[str, Any]) -> dict[str, Any]:
    tasks = {"tasks": task_list(fields["tasks"])} if fields.get("tasks") else {}
    return _present({**fields, **tasks})


def _sweep(sweep: Mapping[str, Any]) -> dict[str, Any]:
    """Return a sweep as the server takes it; what has another form is left to the server."""
    found = dict(sweep)
    base, over = found.get("base"), found.get("over")
    if isinstance(base, Mapping):
        found["base"] = _request(base)
    if isinstance(over, Mapping) and isinstance(over.get("tasks"), list | tuple):
        found["over"] = {**over, "tasks": [*map(task_list, over["tasks"])]}
    return found


def _present(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
