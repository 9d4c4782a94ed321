"""The server's own state as the rest of the server sees it: deeds and questions, no SQL."""

from collections.abc import Callable

from evalserver.store import server_events
from evalserver.store.backup import Backup
from evalserver.store.readers import Readers
from evalserver.store.server_events import Deed, Draining
from evalserver.store.writer import Writer


class ServerStore:
    """The part of a store that is about the server itself; every deed returns once it is durable.

    Deeds raise StoreUnavailable, having changed nothing, when the database cannot be written.
    """

    def __init__(self, writer: Writer, readers: Readers, now: Callable[[], str]) -> None:
        self._writer = writer
        self._readers = readers
        self._now = now

    async def drain(self, actor: str, reason: str | None) -> Draining:
        """Let nothing be claimed from now on; also after a restart."""
        return await self._writer.run(
            lambda tx: server_events.drain(tx, self._now(), actor, reason)
        )

    async def resume(self, actor: str) -> bool:
        """Let jobs be claimed again; False when nothing had kept them."""
        return await self._writer.run(lambda tx: server_events.resume(tx, self._now(), actor))

    async def draining(self) -> Draining | None:
        """Whether nothing may be claimed, and because of whom."""
        return await server_events.draining(self._readers)

    async def note_backup(self, actor: str, backup: Backup) -> None:
        """Write down that somebody had a backup made."""
        detail = {"name": backup.path.name, "jobs": backup.jobs, "events": backup.events}
        await self._writer.run(
            lambda tx: server_events.append(tx, Deed.BACKED_UP, self._now(), actor, detail)
        )
