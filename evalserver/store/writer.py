"""The one writer: a task that owns the only read-write connection.

Whoever wants to change something hands it a unit of work and awaits the outcome. All units that
wait are run in one transaction, a savepoint each, and are answered after one durable commit
(group commit). The caller may be cancelled while it waits: its unit is carried out or not, whole.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import structlog

from evalserver.store.committed import Commit, CommittedEvent, Listener, Watcher
from evalserver.store.errors import StoreUnavailable

log = structlog.get_logger("evalserver.store")

T = TypeVar("T")

FAULTS_OF_A_UNIT = (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.DataError)
"""What one unit of work does wrong; every other error of SQLite concerns all."""

Row = sqlite3.Row
Parameters = Mapping[str, Any]

PROBE_SECONDS = 1.0
"""Between two tries whether a database that could not be written can be again."""

LARGEST_BATCH = 500
"""Units of one transaction: bounds how long the first of them waits for its answer."""


class Transaction:
    """What a unit of work may do: run statements, and announce the events that it wrote."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.events: list[CommittedEvent] = []

    def execute(self, sql: str, parameters: Parameters | None = None) -> list[Row]:
        """Run one statement and return its rows (those of a RETURNING clause, for a change)."""
        return self._connection.execute(sql, parameters or {}).fetchall()

    def insert(self, sql: str, parameters: Parameters) -> int:
        """Insert one row and return its number; RETURNING would take half as long again."""
        return self._connection.execute(sql, parameters).lastrowid or 0


Work = Callable[[Transaction], T]


class _Unit(Generic[T]):
    def __init__(self, work: Work[T], answer: asyncio.Future[T]) -> None:
        self.work = work
        self.answer = answer


@dataclass
class _Done:
    """What a unit came to: a value or the error that it raised, told once it is committed."""

    unit: _Unit[Any]
    events: list[CommittedEvent]
    value: Any = None
    error: Exception | None = None

    def tell(self) -> None:
        if self.unit.answer.done():
            return
        if self.error is None:
            self.unit.answer.set_result(self.value)
        else:
            self.unit.answer.set_exception(self.error)


class Writer:
    """Runs units of work on its connection, as many as wait in one durable transaction.

    A whole transaction is carried out in the writer's own thread: the loop goes on meanwhile, and
    is left and come back to once, however many statements there are.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store writer")
        self._units: asyncio.Queue[_Unit[Any] | None] = asyncio.Queue()
        self._listeners: list[Listener] = []
        self._watchers: list[Watcher] = []
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self.fault: str | None = None
        """Why nothing can be written right now; None when all is well."""

    def start(self) -> None:
        """Begin to work; ``close`` ends it."""
        self._task = asyncio.create_task(self._work(), name="store writer")

    def subscribe(self, listener: Listener) -> None:
        """Call ``listener`` after each commit, once per event, in the order of the audit log."""
        self._listeners.append(listener)

    def watch(self, watcher: Watcher) -> None:
        """Call ``watcher`` after each commit that had units of work in it."""
        self._watchers.append(watcher)

    async def run(self, work: Work[T]) -> T:
        """Carry out ``work`` and return its value once it is durable.

        Raises what the work raises (it has then changed nothing), and StoreUnavailable when the
        database cannot be written.
        """
        if self._closing or self._task is None or self._task.done():
            raise StoreUnavailable("the store is closed")
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._units.put_nowait(_Unit(work, answer))
        return await answer

    async def close(self) -> None:
        """Carry out what was handed in, then stop. The connection is the caller's to close."""
        self._closing = True
        self._units.put_nowait(None)
        if self._task is not None:
            await self._task
        self._thread.shutdown()

    async def _work(self) -> None:
        closing = False
        while not closing:
            batch, closing = await self._next_batch()
            if batch or self.fault is not None:
                for done in await self._commit(batch):
                    done.tell()

    async def _next_batch(self) -> tuple[list[_Unit[Any]], bool]:
        batch: list[_Unit[Any]] = []
        try:
            # While nothing can be written, an empty batch tries again whether it can.
            async with asyncio.timeout(None if self.fault is None else PROBE_SECONDS):
                unit = await self._units.get()
        except TimeoutError:
            return batch, False
        while unit is not None:
            batch.append(unit)
            if len(batch) == LARGEST_BATCH or self._units.empty():
                return batch, False
            unit = self._units.get_nowait()
        return batch, True

    async def _commit(self, batch: list[_Unit[Any]]) -> list[_Done]:
        loop = asyncio.get_running_loop()
        try:
            results, commit = await loop.run_in_executor(self._thread, self._write, batch)
        except Exception as error:  # whatever it is, those who wait are told
            reason = StoreUnavailable(f"the database cannot be written: {error}")
            self.fault = str(reason)
            return [_Done(unit, [], error=reason) for unit in batch]
        self.fault = None
        events = [event for done in results for event in done.events]
        self._announce(self._listeners, events)
        self._announce(self._watchers, [commit] if batch else [])
        return results

    def _announce(self, listeners: list[Callable[[T], None]], news: list[T]) -> None:
        for each in news:
            for listener in listeners:
                try:
                    listener(each)
                except Exception:  # the change is on disk: those who wait for it must hear so
                    log.exception("a listener of the store failed", news=each)

    def _write(self, batch: list[_Unit[Any]]) -> tuple[list[_Done], Commit]:
        """Carry out one transaction; in the writer's thread."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            if self.fault is not None:
                self._probe()
            results = [self._run_unit(unit) for unit in batch]
            began = time.perf_counter()
            self._connection.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        return results, Commit(len(batch), time.perf_counter() - began)

    def _run_unit(self, unit: _Unit[Any]) -> _Done:
        transaction = Transaction(self._connection)
        self._connection.execute("SAVEPOINT unit")
        try:
            value = unit.work(transaction)
        except FAULTS_OF_A_UNIT as error:
            return self._undone(unit, error)
        except sqlite3.Error:
            # Disk full, I/O error, locked: SQLite may have rolled everything back by itself.
            raise
        except Exception as error:
            return self._undone(unit, error)
        self._connection.execute("RELEASE unit")
        return _Done(unit, transaction.events, value=value)

    def _undone(self, unit: _Unit[Any], error: Exception) -> _Done:
        self._connection.execute("ROLLBACK TO unit")
        self._connection.execute("RELEASE unit")
        return _Done(unit, [], error=error)

    def _probe(self) -> None:
        """Change nothing, but so that it has to be written like any change."""
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        self._connection.execute(f"PRAGMA user_version = {version}")

    def _roll_back(self) -> None:
        # A rollback that fails leaves a transaction behind which the next BEGIN will report.
        with suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
