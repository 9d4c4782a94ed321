"""Calls about the server itself, and about checkpoints on its machine."""

import math
from typing import Literal

from evalserver.client.errors import Json, RequestFailed, ServerUnreachable
from evalserver.client.retries import Repeat
from evalserver.client.sending import Call, Sender

NO_RETRIES = 0.0
"""Health is asked for once, so that the answer is current."""


class ServerCalls:
    """Health, queue, tasks, models, merging."""

    _sender: Sender

    async def health(self) -> Json:
        """Return the health of the server, without retries.

        ``status`` is ``healthy`` or ``degraded``, then with a ``reason``. Raises ServerUnreachable
        when there is no answer, which ``is_healthy`` turns into False, and RequestFailed when
        something else answers.

        >>> client.health()["status"]
        'healthy'
        """
        return await self._sender.answer(Call("GET", "/health", limit_s=NO_RETRIES))

    async def is_healthy(self) -> bool:
        """Return whether the server answers and can write.

        >>> client.is_healthy()
        True
        """
        try:
            health = await self.health()
        except (RequestFailed, ServerUnreachable):
            return False
        return health.get("status") == "healthy"

    async def list_tasks(self, engine: str | None = None) -> list[str]:
        """Return the tasks that an engine's harness knows; by default, the server's default engine.

        >>> "mme" in client.list_tasks()
        True
        """
        answer = await self._sender.answer(Call("GET", "/tasks", {"engine": engine}))
        return list(answer.get("tasks", []))

    async def list_models(self, engine: str | None = None) -> list[str]:
        """Return the models that an engine's harness knows; by default, the server's default
        engine.

        >>> "dummy" in client.list_models()
        True
        """
        answer = await self._sender.answer(Call("GET", "/models", {"engine": engine}))
        return list(answer.get("models", []))

    async def get_queue_status(self) -> Json:
        """Return ``queue_size``, ``running_jobs``, ``queued_jobs`` in order, and counts of finished
        jobs: ``completed_jobs``, ``failed_jobs``, ``cancelled_jobs``.

        >>> client.get_queue_status()["queue_size"]
        0
        """
        return await self._sender.answer(Call("GET", "/queue"))

    async def gpus(self) -> list[Json]:
        """Return the GPUs that the server manages: ``id``, ``index``, ``name``, ``status``
        (``free``, ``held`` or ``unavailable``), ``reason``, ``holder``, memory, ``utilization``.

        >>> client.gpus()
        []
        """
        answer = await self._sender.answer(Call("GET", "/gpus"))
        return list(answer.get("gpus", []))

    async def executors(self) -> list[Json]:
        """Return where jobs can run: ``name``, ``type`` (``local`` or ``slurm``), ``fault``,
        ``jobs`` there, with their ids on the cluster, and its ``nodes``.

        >>> [each["name"] for each in client.executors()]
        ['local']
        """
        answer = await self._sender.answer(Call("GET", "/executors"))
        return list(answer.get("executors", []))

    async def merge_checkpoint(
        self,
        checkpoint_path: str,
        output_path: str | None = None,
        checkpoint_type: Literal["regular", "ema"] = "regular",
        *,
        wait: bool = True,
    ) -> Json:
        """Merge a sharded FSDP2 checkpoint on the server's machine, and wait for it.

        The merged checkpoint is written to ``output_path``, by default beside the shards. Returns
        ``success``, ``message``, ``merged_path`` and ``job_id``: the merge is a job, which goes on
        when the client stops waiting. With ``wait=False`` it returns at once what ``evaluate``
        returns. Raises NotFound when there is no checkpoint, RequestFailed when the merge fails.

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
