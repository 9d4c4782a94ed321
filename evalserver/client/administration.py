"""Calls for administrators: drain, prune, erase, refresh the catalog, back up."""

import math
from urllib.parse import quote

from evalserver.client.errors import Json, Pruned
from evalserver.client.retries import Repeat
from evalserver.client.sending import Call, Sender


class AdminCalls:
    """Calls for administrators."""

    _sender: Sender

    async def drain(self, reason: str | None = None) -> Json:
        """Have the server start no jobs until ``resume``, also after a restart.

        Running jobs go on, submitted jobs wait. ``reason`` is shown to users.
        Returns a ``message``, and under ``draining`` ``since``, ``by`` and ``reason``.

        >>> client.drain("new driver")["draining"]["reason"]
        'new driver'
        >>> client.resume()["message"]
        'The server starts jobs again'
        """
        return await self._sender.answer(Call("POST", "/drain", {"reason": reason}))

    async def resume(self) -> Json:
        """Have a draining server start jobs again. Returns a ``message``.

        >>> client.resume()["message"]
        'The server was not draining; nothing was changed'
        """
        return await self._sender.answer(Call("POST", "/resume"))

    async def cordon_gpu(self, gpu: str | int, reason: str | None = None) -> Json:
        """Have the server start nothing on a GPU, by UUID or index, until ``uncordon_gpu``.

        What runs on it ends first. ``reason`` is shown to users. Returns a ``message``. Raises
        NotFound when the server does not manage it.

        >>> client.cordon_gpu(0, "fan")
        Traceback (most recent call last):
        evalserver.client.errors.NotFound: ...
        """
        path = f"/gpus/{quote(str(gpu), safe='')}/quarantine"
        return await self._sender.answer(Call("PUT", path, {"reason": reason}))

    async def uncordon_gpu(self, gpu: str | int) -> Json:
        """Have the server start jobs on a quarantined GPU again, by UUID or index.

        Returns a ``message``. Raises NotFound when the server does not manage it.

        >>> client.uncordon_gpu("GPU-5")
        Traceback (most recent call last):
        evalserver.client.errors.NotFound: ...
        """
        path = f"/gpus/{quote(str(gpu), safe='')}/quarantine"
        return await self._sender.answer(Call("DELETE", path))

    async def prune(
        self,
        *,
        keep: int | None = None,
        older_than_s: float | None = None,
        dry_run: bool = False,
    ) -> Json:
        """Remove finished jobs with their files: all but the newest ``keep``, or those that
        finished more than ``older_than_s`` seconds ago.

        Returns a ``message``, and under ``pruned`` how many; with ``dry_run``, how many would be,
        and removes none. Raises RequestFailed unless exactly one of the two is given.

        >>> client.prune(older_than_s=30 * 86400)["pruned"]
        0
        """
        query = {"keep": keep, "older_than_s": older_than_s, "dry_run": 1 if dry_run else None}
        return await self._sender.answer(Call("POST", "/prune", query, server_wait_s=math.inf))

    async def prune_job(self, job_id: str) -> Json:
        """Remove one finished job with its files. Returns a ``message``.

        Raises RequestFailed (409) when it has not finished, Pruned when it was removed before.

        >>> client.prune_job(job_id)["message"]
        'Job ... was pruned'
        """
        return await self._remove(job_id, "prune", "pruned")

    async def erase(self, job_id: str) -> Json:
        """Remove one finished job with its files and its numbers, also if it was pruned before.

        Returns a ``message``. Raises RequestFailed (409) when it has not finished, Pruned when it
        was erased before.

        >>> client.erase(job_id)["message"]
        'Job ... was erased'
        """
        return await self._remove(job_id, "erase", "erased")

    async def _remove(self, job_id: str, operation: str, done: str) -> Json:
        try:
            return await self._sender.answer(
                Call("POST", f"/jobs/{quote(job_id, safe='')}/{operation}")
            )
        except Pruned as error:
            if error.repeated:  # an earlier attempt succeeded, and its response was lost
                return {"message": f"Job {job_id} was {done}"}
            raise

    async def refresh_catalog(self, engine: str | None = None) -> Json:
        """Have the server ask the harness of an engine, or of all engines, for its tasks and
        models, and wait for it, which may take minutes.

        Returns under ``engines`` for each its ``version``, how many ``tasks`` and ``models`` it
        knows, the ``seconds`` that it took, and an ``error`` if it could not be asked.

        >>> client.refresh_catalog("lmms_eval")["engines"][0]["tasks"]
        2
        """
        refresh = Call("POST", "/catalog/refresh", {"engine": engine}, server_wait_s=math.inf)
        return await self._sender.answer(refresh)

    async def back_up(self) -> Json:
        """Have the server copy its database to a new file in its data directory, and wait for it.

        Returns ``path`` and ``size`` of the copy, and how many ``jobs`` and ``events`` are in it.

        >>> client.back_up()["path"]
        '.../backups/evalserver-....db'
        """
        backup = Call("POST", "/backup", repeat=Repeat.IF_NOT_RECEIVED, server_wait_s=math.inf)
        return await self._sender.answer(backup)
