"""Calls for gates: whether a job is good enough beside a baseline."""

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from evalserver.client.errors import Json
from evalserver.client.evaluations import task_list
from evalserver.client.listing import ListingCalls
from evalserver.client.retries import Repeat
from evalserver.client.sending import Call, Sender


class GateCalls(ListingCalls):
    """Calls for gates."""

    _sender: Sender

    async def gate(
        self,
        job_id: str,
        baseline: str,
        policy: str | Mapping[str, Any] | None = None,
        *,
        max_drop: float | None = None,
        max_relative_drop: float | None = None,
        confidence: float | None = None,
        tasks: str | Sequence[str] | None = None,
        keep: bool = False,
    ) -> Json:
        """Judge whether a completed job is good enough beside a baseline: another completed job, or
        ``"previous"`` or ``"best"``, an earlier step of its series.

        ``policy`` is the name of a policy of the server's settings, or one as a mapping; in its
        place, ``max_drop`` says by how much each metric may be worse, in its unit, or
        ``max_relative_drop`` as a share of the baseline's value, and ``tasks`` are patterns of the
        tasks that count. ``keep`` has the server keep the verdict, and write it to the audit log.

        The ``verdict`` is ``"go"``, ``"no_go"`` or ``"inconclusive"``, for a ``reason``;
        ``judgements`` has one row per metric, ``n_to_decide`` about how many documents would
        decide. Raises RequestFailed (409) when one of the jobs is not completed.

        >>> verdict = client.gate(job_id, baseline_id, max_drop=0.01)
        >>> verdict["verdict"], verdict["reason"]
        ('inconclusive', '1 of 1 critical metric could not be decided: mme acc....')
        """
        asked: dict[str, Any] = {
            "job": job_id,
            "baseline": baseline,
            "policy": policy,
            "max_drop": max_drop,
            "max_relative_drop": max_relative_drop,
            "confidence": confidence,
            "task": None if tasks is None else list(task_list(tasks)),
        }
        given = {name: value for name, value in asked.items() if value is not None}
        if keep:
            kept = Call("POST", "/gate", body=given, repeat=Repeat.IF_NOT_RECEIVED)
            return await self._sender.answer(kept)
        if isinstance(policy, Mapping):
            given["policy"] = json.dumps(policy)
        return await self._sender.answer(Call("GET", "/gate", given))

    def gate_verdicts(
        self, *, job_id: str | None = None, series: str | Sequence[str] | None = None
    ) -> AsyncGenerator[Json, None]:
        """Yield the verdicts that were kept, the newest first, without their numbers; on one job,
        or on jobs of one or several series.

        >>> kept = client.gate(job_id, baseline_id, max_drop=0.01, keep=True)
        >>> [newest] = client.gate_verdicts(job_id=job_id)
        >>> newest["verdict_id"] == kept["verdict_id"]
        True
        """
        query = {"job": job_id, "series": None if series is None else list(task_list(series))}
        return self._rows("/gate/verdicts", query, "verdicts")

    async def gate_verdict(self, verdict_id: int) -> Json:
        """Return a verdict that was kept, with its numbers, in the form of ``gate``.

        >>> kept = client.gate(job_id, baseline_id, max_drop=0.01, keep=True)
        >>> client.gate_verdict(kept["verdict_id"]) == kept
        True
        """
        return await self._sender.answer(Call("GET", f"/gate/verdicts/{verdict_id}"))
