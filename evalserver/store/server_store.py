"""The server's own state as the rest of the server sees it: commands and queries, no SQL."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from evalserver.core.lifecycle import SERVER
from evalserver.runner.crash_point import crash_point
from evalserver.store import archiving, server_events
from evalserver.store.archive_file import Archive, read_archive
from evalserver.store.backup import Backup
from evalserver.store.readers import Readers
from evalserver.store.server_events import Draining, ServerOperation
from evalserver.store.writer import Writer


class ServerStore:
    """The part of a store that is about the server itself; every command returns once it is
    durable.

    Commands raise StoreUnavailable, having changed nothing, when the database cannot be written.
    """

    def __init__(self, writer: Writer, readers: Readers, now: Callable[[], str]) -> None:
        self._writer = writer
        self._readers = readers
        self._now = now

    async def drain(self, actor: str, reason: str | None) -> Draining:
        """Stop jobs from being claimed, including after a restart."""
        return await self._writer.run(
            lambda tx: server_events.drain(tx, self._now(), actor, reason)
        )

    async def resume(self, actor: str) -> bool:
        """Let jobs be claimed again; False when the server was not draining."""
        return await self._writer.run(lambda tx: server_events.resume(tx, self._now(), actor))

    async def draining(self) -> Draining | None:
        """Whether the server is draining, and by whom."""
        return await server_events.draining(self._readers)

    async def remove_archived(self, actor: str, path: Path) -> Archive:
        """Remove the events in the archive at ``path`` from the log, in bounded batches.

        Resumes an interrupted removal. Raises ArchiveFailed when the file is not the oldest part
        of this log.
        """
        archive = await asyncio.to_thread(read_archive, path)
        await self._writer.run(lambda tx: archiving.record_archive(tx, archive, self._now(), actor))
        crash_point("archive_recorded")
        while await self._writer.run(lambda tx: archiving.remove_piece(tx, path, archive)):
            crash_point("archive_piece_removed")
        return archive

    async def note_backup(self, actor: str, backup: Backup) -> None:
        """Record that a backup was made, and by whom."""
        detail = {"name": backup.path.name, "jobs": backup.jobs, "events": backup.events}
        await self._writer.run(
            lambda tx: server_events.append(
                tx, ServerOperation.BACKED_UP, self._now(), actor, detail
            )
        )

    async def note_catalog_refresh(self, actor: str, engines: Sequence[str]) -> None:
        """Record that harnesses were asked again for their names, and by whom."""
        operation, detail = ServerOperation.CATALOG_REFRESHED, {"engines": list(engines)}
        await self._writer.run(
            lambda tx: server_events.append(tx, operation, self._now(), actor, detail)
        )

    async def is_disk_low(self) -> bool:
        """Whether the last that was recorded of the disk is that it is nearly full."""
        return await server_events.is_disk_low(self._readers)

    async def note_disk(self, free_bytes: int, total_bytes: int, *, is_low: bool) -> None:
        """Record that the disk became nearly full, or is not any more."""
        operation = ServerOperation.DISK_LOW if is_low else ServerOperation.DISK_OK
        detail = {"free_bytes": free_bytes, "total_bytes": total_bytes}
        await self._writer.run(
            lambda tx: server_events.append(tx, operation, self._now(), SERVER, detail)
        )
