"""The single writer: a thread that owns the only read-write connection.

Callers submit a unit of work and await its result. All pending units run in one transaction, and
are acknowledged after one durable commit (group commit). If one of them fails, all are run again
with a savepoint each, so that only the failed one is rolled back; savepoints cost a third more.
Therefore a unit changes nothing but the database, and may run twice. A caller may be cancelled
while it waits: its unit is executed entirely or not at all.
"""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

import structlog

from evalserver.core.health import Health
from evalserver.core.supervision import pause_after
from evalserver.store.committed import Commit, CommittedEvent, Listener, Watcher
from evalserver.store.errors import StoreUnavailable
from evalserver.store.named_files import NamedFiles
from evalserver.store.notifications import Notifications
from evalserver.store.transaction import BatchOperation, Transaction, Work

log = structlog.get_logger("evalserver.store")

T = TypeVar("T")

FAULTS_OF_A_UNIT = (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.DataError)
"""Errors of a single unit of work; all other errors of SQLite affect all units."""

PROBE_SECONDS = 1.0
"""The delay between two probes of an unwritable database."""

FAULT = "database"
"""The name of the fault in the server's health when nothing can be written."""

THREAD = "the thread that writes to the database"

MAX_BATCH = 500
"""The maximum number of units per transaction: bounds how long the first of them waits."""


class _UnitFailed(Exception):
    """A unit of a transaction failed, and cannot be rolled back alone."""


class _FilesLost(Exception):
    """An open file is no longer the one with its name."""


class _Unit(Generic[T]):
    def __init__(self, work: Work[T], answer: asyncio.Future[T]) -> None:
        self.work = work
        self.answer = answer


@dataclass
class _Done:
    """The result of a unit: a value or the error that it raised, delivered after the commit."""

    unit: _Unit[Any]
    value: Any = None
    error: Exception | None = None

    def answer(self) -> None:
        if self.unit.answer.done():
            return
        if self.error is None:
            self.unit.answer.set_result(self.value)
        else:
            self.unit.answer.set_exception(self.error)


@dataclass(frozen=True)
class _Written:
    """The result of a transaction. Without a commit it failed, and nothing of it is on disk."""

    results: list[_Done]
    events: list[CommittedEvent] = field(default_factory=list)
    commit: Commit | None = None

    def answer_callers(self) -> None:
        for done in self.results:
            done.answer()


_Run = Callable[[list[_Unit[Any]], list[CommittedEvent]], list[_Done]]
"""Runs units, and notes their events."""


class Writer:
    """Runs units of work on its connection, all pending ones in one durable transaction.

    Its thread takes the units and executes whole transactions: the event loop continues meanwhile,
    and is notified once per transaction, however many units and statements it has.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        health: Health | None = None,
        files: NamedFiles | None = None,
    ) -> None:
        self._connection = connection
        self._files = files
        self._lost: str | None = None
        self._health = health or Health()
        self._units: SimpleQueue[list[_Unit[Any]] | None] = SimpleQueue()
        self._gathered: list[_Unit[Any]] = []
        self._pending: list[_Unit[Any]] = []
        """What the thread has been given and not yet written."""
        self._is_last = False
        """Whether the thread will be given nothing more."""
        self._notifications = Notifications()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = asyncio.Event()
        self._closing = False

    @property
    def fault(self) -> str | None:
        """Why nothing can be written right now; None when the database is writable."""
        return self._health.reason(FAULT)

    def start(self) -> None:
        """Start the thread; ``close`` ends it."""
        self._loop = loop = asyncio.get_running_loop()
        # A daemon, so that the process can exit without ``close``: transactions are atomic.
        threading.Thread(target=self._work, args=(loop,), name="store writer", daemon=True).start()

    def subscribe(self, listener: Listener) -> None:
        """Call ``listener`` after each commit, once per event, in the order of the audit log."""
        self._notifications.listeners.append(listener)

    def unsubscribe(self, listener: Listener) -> None:
        """Call ``listener`` no longer."""
        self._notifications.listeners.remove(listener)

    def watch(self, watcher: Watcher) -> None:
        """Call ``watcher`` after each commit that had units of work in it."""
        self._notifications.watchers.append(watcher)

    async def run(self, work: Work[T]) -> T:
        """Execute ``work`` and return its value once it is durable.

        Raises what the work raises (it has then changed nothing), and StoreUnavailable when the
        database cannot be written.
        """
        if self._closing or self._loop is None:
            raise StoreUnavailable("the store is closed")
        answer: asyncio.Future[T] = self._loop.create_future()
        if not self._gathered:
            self._loop.call_soon(self._flush_units)
        self._gathered.append(_Unit(work, answer))
        return await answer

    async def close(self) -> None:
        """Execute the pending units, then stop. The caller closes the connection."""
        self._closing = True
        self._flush_units()
        self._units.put(None)
        if self._loop is not None:
            await self._ended.wait()

    def _flush_units(self) -> None:
        """Give the thread all units of one round of the event loop at once.

        One by one, it would begin with the first, and the two threads would take turns at every
        statement: each turn takes longer than the statement.
        """
        if self._gathered:
            self._units.put(self._gathered)
            self._gathered = []

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        """Write until stopped; the main function of the writer's thread."""
        closing, failures = False, 0
        while not closing and not loop.is_closed():
            batch: list[_Unit[Any]] = []
            try:
                closing = self._collect(batch)
                if batch or self.fault is not None or self._file_fault() is not None:
                    loop.call_soon_threadsafe(self._notify, self._commit(batch))
            except Exception as error:
                failures += 1
                self._note_failure(error, failures)
                # The batch is retried in its place: no caller waits in vain.
                self._pending[:0] = batch
                closing = False
                time.sleep(pause_after(failures))
            else:
                failures = 0
                self._health.clear(THREAD)
        with suppress(RuntimeError):  # the event loop is closed, and nobody is waiting any more
            loop.call_soon_threadsafe(self._notifications.add, [self._ended.set])

    def _note_failure(self, error: Exception, failures: int) -> None:
        pause = pause_after(failures)
        log.exception("a thread failed; it goes on", thread=THREAD, in_seconds=pause)
        self._health.report(THREAD, f"{THREAD} failed, and goes on after {pause:g} s: {error!r}")

    def _collect(self, batch: list[_Unit[Any]]) -> bool:
        """Fill the batch with pending units; True when no more will come."""
        self._receive()
        batch.extend(self._pending[:MAX_BATCH])
        del self._pending[:MAX_BATCH]
        return self._is_last and not self._pending

    def _receive(self) -> None:
        """Take what was given; if nothing is pending, wait for it."""
        with suppress(Empty):
            # An empty batch checks that all files exist, and, while nothing can be written, probes
            # whether it can be again.
            wait_s = 0 if self._pending or self._is_last else PROBE_SECONDS
            units = self._units.get(timeout=wait_s)
            while units is not None:
                self._pending.extend(units)
                units = self._units.get_nowait()
            self._is_last = True

    def _commit(self, batch: list[_Unit[Any]]) -> _Written:
        try:
            written = self._write(batch)
        except Exception as error:  # whatever the error, waiting callers are notified
            reason = StoreUnavailable(f"the database cannot be written: {error}")
            self._health.report(FAULT, str(reason), refuses_jobs=True)
            return _Written([_Done(unit, error=reason) for unit in batch])
        self._health.clear(FAULT)
        return written

    def _notify(self, written: _Written) -> None:
        """Notify listeners, watchers and waiting callers, in the event loop."""
        commit = written.commit if written.results else None
        self._notifications.add_commit(written.events, commit, written.answer_callers)

    def _write(self, batch: list[_Unit[Any]]) -> _Written:
        """Execute one transaction."""
        try:
            return self._transact(batch, self._run_together)
        except _UnitFailed:
            return self._transact(batch, self._run_apart)

    def _transact(self, batch: list[_Unit[Any]], run: _Run) -> _Written:
        events: list[CommittedEvent] = []
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            if self.fault is not None:
                self._probe()
            results = run(batch, events)
            self._require_files()
            began = time.perf_counter()
            self._connection.execute("COMMIT")
            seconds = time.perf_counter() - began
        except BaseException:
            self._roll_back()
            raise
        self._require_files_of_commit()
        return _Written(results, events, Commit(len(batch), seconds))

    def _run_together(self, batch: list[_Unit[Any]], events: list[CommittedEvent]) -> list[_Done]:
        transaction = Transaction(self._connection, events)
        results = []
        try:
            for kind, units in groupby(batch, lambda unit: type(unit.work)):
                results += _run_of_a_kind(transaction, kind, list(units))
        except Exception as error:
            if _concerns_all(error):
                raise
            raise _UnitFailed from error
        return results

    def _run_apart(self, batch: list[_Unit[Any]], events: list[CommittedEvent]) -> list[_Done]:
        return [self._run_alone(unit, events) for unit in batch]

    def _run_alone(self, unit: _Unit[Any], events: list[CommittedEvent]) -> _Done:
        transaction = Transaction(self._connection, [])
        self._connection.execute("SAVEPOINT unit")
        try:
            value = unit.work(transaction)
        except Exception as error:
            if _concerns_all(error):
                raise
            self._connection.execute("ROLLBACK TO unit")
            self._connection.execute("RELEASE unit")
            return _Done(unit, error=error)
        self._connection.execute("RELEASE unit")
        events += transaction.events
        return _Done(unit, value=value)

    def _file_fault(self) -> str | None:
        if self._lost is None and self._files is not None:
            return self._files.fault()
        return self._lost

    def _require_files(self) -> None:
        """Raise _FilesLost unless the open files are still those with their names."""
        fault = self._file_fault()
        if fault is not None:
            self._rescue_log()
            raise _FilesLost(fault)

    def _require_files_of_commit(self) -> None:
        """Check the files after a commit: one that may have gone to a lost file is not
        acknowledged, and the in-memory indexes do not reflect it, so that only a restart helps."""
        fault = self._file_fault()
        if fault is not None:
            self._rescue_log()
            self._lost = f"{fault}. Here a restart is needed in any case"
            raise _FilesLost(self._lost)

    def _rescue_log(self) -> None:
        """If only the ``-wal`` is lost: checkpoint its commits into the database."""
        if self._files is None or not self._files.has_database:
            return
        self._roll_back()
        with suppress(sqlite3.Error):
            self._connection.execute("PRAGMA wal_checkpoint(FULL)")

    def _probe(self) -> None:
        """Write a change without effect, to test whether the database is writable."""
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        self._connection.execute(f"PRAGMA user_version = {version}")

    def _roll_back(self) -> None:
        # A rollback that fails leaves a transaction behind which the next BEGIN will report.
        with suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")


def _run_of_a_kind(tx: Transaction, kind: type, units: list[_Unit[Any]]) -> list[_Done]:
    if issubclass(kind, BatchOperation):
        works: list[Any] = [unit.work for unit in units]
        values = kind.run_batch(tx, works)
    else:
        values = [unit.work(tx) for unit in units]
    return [_Done(unit, value) for unit, value in zip(units, values, strict=True)]


def _concerns_all(error: Exception) -> bool:
    """Whether an error affects the whole transaction: disk full, I/O error, locked."""
    return isinstance(error, sqlite3.Error) and not isinstance(error, FAULTS_OF_A_UNIT)
