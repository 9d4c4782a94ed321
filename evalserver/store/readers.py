"""Read-only connections: what handlers ask is answered beside the writer, never behind it."""

import asyncio
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import aiosqlite

from evalserver.store.errors import StoreUnavailable

READERS = 2


class Readers:
    """A few read-only connections, each used by one query at a time."""

    def __init__(self, connections: list[aiosqlite.Connection]) -> None:
        self._connections = connections
        self._free: asyncio.LifoQueue[aiosqlite.Connection] = asyncio.LifoQueue()
        for connection in connections:
            self._free.put_nowait(connection)

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Open the connections; the database must exist."""
        return cls([await _connect(path) for _ in range(READERS)])

    async def fetch(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[Any]:
        """All rows of a query.

        Raises StoreUnavailable when the database cannot be read.
        """
        connection = await self._free.get()
        try:
            return list(await connection.execute_fetchall(sql, parameters or {}))
        except sqlite3.Error as error:
            raise StoreUnavailable(f"the database cannot be read: {error}") from error
        finally:
            self._free.put_nowait(connection)

    async def close(self) -> None:
        """Close all connections."""
        for connection in self._connections:
            await connection.close()


async def _connect(path: Path) -> aiosqlite.Connection:
    connection = await aiosqlite.connect(_read_only(path), uri=True, isolation_level=None)
    connection.row_factory = sqlite3.Row
    return connection


def _read_only(path: Path) -> str:
    return f"{path.absolute().as_uri()}?mode=ro"
