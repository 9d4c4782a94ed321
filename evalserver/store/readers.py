"""Read-only connections: queries of handlers run in parallel with the writer."""

import asyncio
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import aiosqlite

from evalserver.store.errors import StoreUnavailable

READERS = 2

INTERRUPT_SECONDS = 0.05
"""The delay between two attempts to interrupt a statement."""


class Readers:
    """A few read-only connections, each used by one query at a time.

    One of them is used in the event loop itself, and never waits.
    """

    def __init__(
        self, connections: list[aiosqlite.Connection], at_once: sqlite3.Connection
    ) -> None:
        self._connections = connections
        self._at_once = at_once
        self._free: asyncio.LifoQueue[aiosqlite.Connection] = asyncio.LifoQueue()
        for connection in connections:
            self._free.put_nowait(connection)

    @classmethod
    async def open(cls, path: Path, number: int = READERS) -> Self:
        """Open this many connections; the database must exist."""
        connections = [await _connect(path) for _ in range(number)]
        return cls(connections, await asyncio.to_thread(_connect_at_once, path))

    async def fetch(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[Any]:
        """All rows of a query, which is interrupted when its caller is cancelled.

        Raises StoreUnavailable when the database cannot be read.
        """
        connection = await self._free.get()
        try:
            return list(await connection.execute_fetchall(sql, parameters or {}))
        except sqlite3.Error as error:
            raise StoreUnavailable(f"the database cannot be read: {error}") from error
        except asyncio.CancelledError:
            await _interrupt(connection)
            raise
        finally:
            self._free.put_nowait(connection)

    async def look_up(self, sql: str, parameters: Mapping[str, Any]) -> Any | None:
        """The first row of a query that reads a few pages, or None when it has none.

        It runs in the event loop: handing it to a thread takes ten times as long as such a query.
        Raises StoreUnavailable when the database cannot be read.
        """
        try:
            return self._at_once.execute(sql, parameters).fetchone()
        except sqlite3.Error:
            # It may be locked for a moment: fall back to a query that can wait.
            rows = await self.fetch(sql, parameters)
            return rows[0] if rows else None

    async def close(self) -> None:
        """Close all connections."""
        self._at_once.close()
        for connection in self._connections:
            await connection.close()


async def _connect(path: Path) -> aiosqlite.Connection:
    connection = await aiosqlite.connect(_read_only(path), uri=True, isolation_level=None)
    connection.row_factory = sqlite3.Row
    return connection


async def _interrupt(connection: aiosqlite.Connection) -> None:
    """Interrupt a connection's statement, and wait until it has ended."""
    idle = asyncio.ensure_future(connection.execute_fetchall("SELECT 1"))
    # An interrupt before the statement has begun is lost.
    while not idle.done():
        await connection.interrupt()
        await asyncio.wait([idle], timeout=INTERRUPT_SECONDS)
    idle.exception()


def _connect_at_once(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        _read_only(path), uri=True, isolation_level=None, timeout=0, check_same_thread=False
    )
    connection.row_factory = sqlite3.Row
    return connection


def _read_only(path: Path) -> str:
    return f"{path.absolute().as_uri()}?mode=ro"
