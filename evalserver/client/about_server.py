"""Calls about the server itself, and about checkpoints on its machine."""

import math
from typing import Literal

from evalserver.client.errors import Json, RequestFailed, ServerUnreachable
from evalserver.client.retries import Repeat
from evalserver.client.sending import Call, Sender

NO_RETRIES = 0.0
"""Health is asked for as it is now."""


class ServerCalls:
    """Health, queue, tasks, models, merging."""

    _sender: Sender

    async def health(self) -> Json:
        """How the server is now; nothing is tried again.

        >>> client.health()["status"]
        'healthy'
        """
        return await self._sender.answer(Call("GET", "/health", limit_s=NO_RETRIES))

    async def is_healthy(self) -> bool:
        """Whether the server answers, and can write.

        >>> client.is_healthy()
        True
        """
        try:
            health = await self.health()
        except (RequestFailed, ServerUnreachable):
            return False
        return health.get("status") == "healthy"

    async def list_tasks(self, engine: str | None = None) -> list[str]:
        """The names that ``tasks`` may hold, as a harness tells them; ``engine`` says which.

        >>> "mme" in client.list_tasks()
        True
        """
        answer = await self._sender.answer(Call("GET", "/tasks", {"engine": engine}))
        return list(answer.get("tasks", []))

    async def list_models(self, engine: str | None = None) -> list[str]:
        """The names that ``model`` may be, as a harness tells them; ``engine`` says which.

        >>> "dummy" in client.list_models()
        True
        """
        answer = await self._sender.answer(Call("GET", "/models", {"engine": engine}))
        return list(answer.get("models", []))

    async def get_queue_status(self) -> Json:
        """``queue_size``, ``running_job``, ``queued_jobs`` in their order, and how many have ended.

        >>> client.get_queue_status()["queue_size"]
        0
        """
        return await self._sender.answer(Call("GET", "/queue"))

    async def merge_checkpoint(
        self,
        checkpoint_path: str,
        output_path: str | None = None,
        checkpoint_type: Literal["regular", "ema"] = "regular",
        *,
        wait: bool = True,
    ) -> Json:
        """Merge a sharded FSDP2 checkpoint on the server's machine, and wait for it.

        The merged one goes to ``output_path``, or beside the shards. Returns ``success``,
        ``message``, ``merged_path`` and ``job_id``: the merge is a job, and goes on whatever
        becomes of who waits. With ``wait`` False it does not wait, and answers as ``evaluate``.
        Raises NotFound when there is no checkpoint, RequestFailed when it cannot be merged.

        >>> client.merge_checkpoint("/checkpoints/100", checkpoint_type="ema")["merged_path"]
        '/checkpoints/100'
        """
        body = {
            "checkpoint_path": checkpoint_path,
            "output_path": output_path,
            "checkpoint_type": checkpoint_type,
        }
        merge = Call(
            "POST",
            "/merge",
            body=body,
            headers={} if wait else {"Prefer": "respond-async"},
            repeat=Repeat.IF_NOT_RECEIVED,
            server_wait_s=math.inf if wait else 0.0,
        )
        return await self._sender.answer(merge)
