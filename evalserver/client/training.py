"""Calls for training runs: submitting checkpoints and collecting results."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from evalserver.client.errors import Json
from evalserver.client.evaluations import EvaluationCalls, task_list
from evalserver.client.listing import ListingCalls
from evalserver.client.sending import Call
from evalserver.core.series import SERIES, STEP


class TrainingCalls(EvaluationCalls, ListingCalls):
    """Calls for training runs."""

    async def submit_checkpoint(
        self,
        /,
        path: str | os.PathLike[str],
        *,
        step: int,
        series: str,
        model: str,
        tasks: str | Sequence[str],
        model_args: Mapping[str, Any] | None = None,
        model_args_key: str = "pretrained",
        labels: Mapping[str, str] | None = None,
        on_newer: str | None = None,
        lease: Literal["link", "copy", "mark"] | None = None,
        **evaluate: Any,
    ) -> Json:
        """Queue the evaluation of a run's checkpoint without waiting. Returns what ``evaluate``
        does.

        The path becomes ``model_args[model_args_key]``: absolute if it exists on this machine, else
        unchanged. The job gets ``series``, the name of the run, and ``step``, as fields and as
        labels; further arguments are passed to ``evaluate``.

        With ``on_newer="supersede"``, the run's jobs of earlier steps with the same tasks and limit
        that are still queued are cancelled: the newest checkpoint is what matters.

        With ``lease="link"`` the run may remove the checkpoint as soon as this returns: the
        evaluation reads hard links to its files, which the server makes beside it.

        Repeating a submission returns the same job, so a resumed run can safely submit its last
        checkpoint again. A run that starts from scratch needs another ``series``.

        >>> job = client.submit_checkpoint(
        ...     "checkpoints/100", step=100, series="7b-run3", model="dummy", tasks=["mme"]
        ... )
        >>> job = client.get_job(job["job_id"])
        >>> job["series"], job["step"]
        ('7b-run3', 100)
        """
        fields: dict[str, Any] = {
            **evaluate,
            "on_newer": on_newer,
            "lease": lease,
            "model": model,
            "tasks": task_list(tasks),
            "model_args": {**(model_args or {}), model_args_key: _server_path(path)},
            "labels": {**(labels or {}), SERIES: series, STEP: str(step)},
        }
        return await self.evaluate(
            **{"idempotency_key": _idempotency_key(fields), **fields}, series=series, step=step
        )

    async def in_use(self, path: str | os.PathLike[str]) -> list[Json]:
        """Return the jobs that still need a path on the server's machine, or something below or
        above it; empty if the path may be removed.

        A job has ``job_id``, ``status``, ``path``, ``relation`` and more. Jobs with
        ``lease="link"`` or ``"copy"`` need no checkpoint of the run. Raises ServerUnreachable and
        RequestFailed: then keep the checkpoint.

        >>> client.in_use("checkpoints/100")
        []
        """
        look = Call("GET", "/checkpoints", {"path": _absolute(path)})
        answer = await self._sender.answer(look)
        return list(answer["jobs"])

    async def completed_since(
        self,
        cursor: str | None = None,
        *,
        series: str | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> tuple[list[Json], str]:
        """Return the jobs that have finished since the cursor, each once, and the next cursor.

        It does not wait. Jobs (completed, failed or cancelled) are in the order in which they
        finished; ``series`` and ``labels`` filter them. Without a cursor it begins with the oldest
        job on the server. The cursor is a short text: store it in the run's checkpoint, so that a
        resumed run gets what finished meanwhile.

        >>> finished, cursor = client.completed_since(series="13b-run1")
        >>> [(job["step"], job["status"]) for job in finished]
        [(100, 'completed')]
        >>> client.completed_since(cursor, series="13b-run1")[0]
        []
        """
        wanted = self.jobs(series=series, labels=labels, finished_after=_parse_cursor(cursor))
        finished = [job async for job in wanted]
        newest = str(finished[-1]["event_id"]) if finished else (cursor or "0")
        return finished, newest


def _server_path(path: str | os.PathLike[str]) -> str:
    # The server has another working directory. A path that does not exist may name a repository.
    return str(Path(path).absolute()) if Path(path).exists() else os.fspath(path)


def _absolute(path: str | os.PathLike[str]) -> str:
    return str(Path(path).absolute())


def _idempotency_key(fields: Mapping[str, Any]) -> str:
    said = {name: value for name, value in fields.items() if value is not None}
    text = json.dumps(said, sort_keys=True, default=os.fspath)
    return f"checkpoint-{hashlib.sha256(text.encode()).hexdigest()}"


def _parse_cursor(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdigit()):
        raise ValueError(f"cursor: {cursor!r} is not a cursor that completed_since has returned")
    return int(cursor)
