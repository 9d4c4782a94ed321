"""The store of one server: opens and closes the database, and owns its writer and its parts."""

import asyncio
import sqlite3
from pathlib import Path

from evalserver.core.clock import Clock, timestamp, utc_now
from evalserver.core.health import Health
from evalserver.store.batches import BatchQueries
from evalserver.store.committed import Listener, Watcher
from evalserver.store.cursors import CursorStore
from evalserver.store.durations import Durations
from evalserver.store.engine_cache import EngineCache
from evalserver.store.event_log import EventLog
from evalserver.store.gate_store import GateStore
from evalserver.store.gpu_store import GpuStore
from evalserver.store.gpu_usage import UsageQueries
from evalserver.store.job_queries import JobQueries
from evalserver.store.job_store import JobStore
from evalserver.store.leaderboard import LeaderboardQueries
from evalserver.store.migrate import migrate
from evalserver.store.named_files import NamedFiles, require_database_of_runs
from evalserver.store.readers import Readers
from evalserver.store.server_store import ServerStore
from evalserver.store.token_store import TokenStore
from evalserver.store.trends import SeriesQueries
from evalserver.store.webhook_store import WebhookStore
from evalserver.store.writer import Writer

DATABASE_NAME = "evalserver.db"

SETTINGS = ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "temp_store = MEMORY")
"""Settings of the writable connection. The last one keeps the savepoint journal in memory: in a
file, where SQLite puts it beyond 64 KB, it would cost as much as the work itself."""


class Store:
    """The database of one server. Open it with ``Store.open``, and close it.

    Its parts do the work: ``jobs`` changes jobs, ``queries`` and ``batches`` read them, ``series``,
    ``leaderboard`` and ``durations`` summarize them, ``usage`` sums what they used, ``events``
    reads the audit log, ``tokens``, ``server``, ``gates``, ``cursors``, ``webhooks``,
    ``gpus`` and ``engine_cache`` have the rest.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        writer: Writer,
        readers: Readers,
        search_readers: Readers,
        clock: Clock,
    ) -> None:
        self._connection = connection
        self._writer = writer
        self._readers = readers
        self._search_readers = search_readers

        def now() -> str:
            return timestamp(clock())

        self.jobs = JobStore(writer, readers, now)
        self.queries = JobQueries(readers, search_readers)
        self.batches = BatchQueries(readers)
        self.series = SeriesQueries(readers)
        self.leaderboard = LeaderboardQueries(search_readers)
        self.durations = Durations(readers)
        self.usage = UsageQueries(readers)
        self.events = EventLog(readers)
        self.cursors = CursorStore(writer, readers)
        self.tokens = TokenStore(writer, readers)
        self.server = ServerStore(writer, readers, now)
        self.gates = GateStore(writer, readers, now)
        self.gpus = GpuStore(writer, readers, now)
        self.webhooks = WebhookStore(writer, readers, now)
        self.engine_cache = EngineCache(writer, readers, now)

    @classmethod
    async def open(
        cls, data_dir: Path, clock: Clock = utc_now, health: Health | None = None
    ) -> "Store":
        """Open the database in ``data_dir``, creating or migrating it as needed.

        Faults that prevent writing are reported to ``health``.

        Raises DatabaseRefused when the file cannot be used, or is missing although jobs have run.
        """
        path = data_dir / DATABASE_NAME
        await asyncio.to_thread(require_database_of_runs, path)
        await asyncio.to_thread(migrate, path, clock)
        connection = await asyncio.to_thread(_open_for_writing, path)
        readers = await Readers.open(path)
        search_readers = await Readers.open(path, 1)
        writer = Writer(connection, health, NamedFiles(path))
        writer.start()
        return cls(connection, writer, readers, search_readers, clock)

    async def close(self) -> None:
        """Execute the pending operations, then close the database."""
        await self._writer.close()
        await self._readers.close()
        await self._search_readers.close()
        await asyncio.to_thread(self._connection.close)

    def subscribe(self, listener: Listener) -> None:
        """Call ``listener`` after each commit, once per event, in the order of the audit log."""
        self._writer.subscribe(listener)

    def unsubscribe(self, listener: Listener) -> None:
        """Call ``listener`` no longer."""
        self._writer.unsubscribe(listener)

    def watch(self, watcher: Watcher) -> None:
        """Call ``watcher`` after each commit, with its size and duration."""
        self._writer.watch(watcher)

    @property
    def fault(self) -> str | None:
        """Why nothing can be written right now; None when the database is writable."""
        return self._writer.fault


def _open_for_writing(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    for setting in SETTINGS:
        connection.execute(f"PRAGMA {setting}")
    # Opens the log, so that its file exists from now on.
    connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    return connection
