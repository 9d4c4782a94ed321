"""The store as the rest of the server sees it: deeds and questions about jobs, no SQL."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from evalserver.core.clock import Clock, timestamp, utc_now
from evalserver.core.health import Health
from evalserver.core.job import Job, Metric, NewJob, Outcome
from evalserver.core.lifecycle import Status
from evalserver.store import (
    durations,
    engine_cache,
    event_log,
    finished,
    idempotency,
    jobs,
    listing,
    metrics,
    pruning,
    server_events,
    sorting,
    trends,
)
from evalserver.store.committed import Listener, Watcher
from evalserver.store.criteria import JobFilter
from evalserver.store.durations import Kind, Known
from evalserver.store.engine_cache import Answer
from evalserver.store.errors import JobNotFound, JobPruned
from evalserver.store.event_log import Event
from evalserver.store.idempotency import Answered, Key
from evalserver.store.listing import NEWEST, Page
from evalserver.store.migrate import migrate
from evalserver.store.named_files import NamedFiles, require_database_of_runs
from evalserver.store.readers import Readers
from evalserver.store.server_store import ServerStore
from evalserver.store.sorting import Order, Place, SortedPage
from evalserver.store.submission import Submission
from evalserver.store.token_store import TokenStore
from evalserver.store.transaction import Transaction
from evalserver.store.trends import Point, Series
from evalserver.store.writer import Writer

DATABASE_NAME = "evalserver.db"

SETTINGS = ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "temp_store = MEMORY")
"""Of the connection that writes. The last is for what may have to be undone of a unit of work: in a
file, which is where SQLite puts it beyond 64 KB, it costs as much as the work itself."""


class Store:
    """The jobs of one server, on disk. Open it with ``Store.open``, and close it.

    Every deed returns once it is durable, and raises StoreUnavailable, having changed nothing,
    when the database cannot be written.
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
        self._clock = clock
        self.tokens = TokenStore(writer, readers)
        self.server = ServerStore(writer, readers, self._now)

    @classmethod
    async def open(
        cls, data_dir: Path, clock: Clock = utc_now, health: Health | None = None
    ) -> "Store":
        """Open the database in ``data_dir``, creating or migrating it as needed.

        What keeps it from being written is reported to ``health``.

        Raises DatabaseRefused when the file there cannot be used, or is lost: jobs have run there.
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
        """Carry out what was handed in, then close the database."""
        await self._writer.close()
        await self._readers.close()
        await self._search_readers.close()
        await asyncio.to_thread(self._connection.close)

    def subscribe(self, listener: Listener) -> None:
        """Call ``listener`` after each commit, once per event, in the order of the audit log."""
        self._writer.subscribe(listener)

    def watch(self, watcher: Watcher) -> None:
        """Call ``watcher`` after each commit, with its size and duration."""
        self._writer.watch(watcher)

    @property
    def fault(self) -> str | None:
        """Why nothing can be written right now; None when all is well."""
        return self._writer.fault

    async def submit(self, job: NewJob) -> None:
        """Put a new job into the queue."""
        await self._writer.run(Submission(job, self._now))

    async def submit_once(self, job: NewJob, key: Key, answer: Callable[[int], str]) -> Answered:
        """Put a new job into the queue, if its key was not used; else, answer as was answered then.

        ``answer`` makes the answer from the job's position in the queue; job, key and answer are
        one unit of work. Raises KeyReused when the key was used for something else.
        """
        return await self._writer.run(
            lambda tx: idempotency.submit_once(tx, job, key, self._now(), answer)
        )

    async def prioritize(self, job_id: str, priority: int, actor: str) -> None:
        """Give a queued job another priority. Raises IllegalTransition if it is not queued."""
        await self._writer.run(lambda tx: jobs.prioritize(tx, job_id, priority, self._now(), actor))

    async def was_answered(self, key: Key) -> bool:
        """Was a submission with this key accepted?"""
        return await idempotency.was_answered(self._readers, key)

    async def claim(self, job: Job, run_dir: Path, output_dir: Path) -> None:
        """Start the attempt behind those that ``job``, a record of a queued job, has made.

        Raises IllegalTransition if it is not queued, if another has come before it in the queue,
        if it has made further attempts since it was read, or while the server is draining.
        """
        claim = jobs.Claim(job.job_id, self._now(), str(run_dir), str(output_dir))

        def work(tx: Transaction) -> None:
            server_events.require_open_queue(tx)
            jobs.require_first(tx, job.job_id)
            jobs.claim(tx, claim, job.attempt + 1)

        await self._writer.run(work)

    async def reattach(self, job_id: str) -> None:
        """Note that a restarted server found a running job's attempt again."""
        await self._writer.run(lambda tx: jobs.reattach(tx, job_id, self._now()))

    async def cancel_queued(self, job_id: str, actor: str, keep: int) -> list[str]:
        """End a job before its start, and prune as ``finish`` does.

        Raises IllegalTransition if it is not queued any more.
        """

        def work(tx: Transaction) -> list[str]:
            now = self._now()
            jobs.cancel_queued(tx, job_id, now, actor)
            return pruning.prune(tx, keep, now)

        return await self._writer.run(work)

    async def request_cancel(self, job_id: str, actor: str) -> None:
        """Note that a running job is to be stopped. Raises IllegalTransition if it has ended."""
        await self._writer.run(lambda tx: jobs.request_cancel(tx, job_id, self._now(), actor))

    async def interrupt(self, job_id: str, reason: str) -> None:
        """Put a running job whose attempt was lost back into the queue."""
        await self._writer.run(lambda tx: jobs.interrupt(tx, job_id, self._now(), reason))

    async def finish(self, job_id: str, outcome: Outcome, keep: int) -> list[str]:
        """Write how a running job ended, and prune; one unit of work.

        Returns the ids of the jobs that were pruned to keep the newest ``keep`` finished ones.
        """

        def work(tx: Transaction) -> list[str]:
            now = self._now()
            jobs.finish(tx, job_id, now, outcome)
            return pruning.prune(tx, keep, now)

        return await self._writer.run(work)

    async def retry(self, job_id: str, actor: str) -> None:
        """Queue a finished job for a further attempt. Raises IllegalTransition if it is not."""
        await self._writer.run(lambda tx: jobs.retry(tx, job_id, self._now(), actor))

    async def prune(
        self, keep: int, actor: str = jobs.SERVER, most: int = pruning.ALL
    ) -> list[str]:
        """Remove the oldest finished jobs beyond the newest ``keep``, or ``most`` of these; returns
        their ids."""
        return await self._writer.run(lambda tx: pruning.prune(tx, keep, self._now(), actor, most))

    async def prune_older(self, before: str, actor: str, most: int) -> list[str]:
        """Remove ``most`` of the jobs that finished before a time; returns their ids."""
        return await self._writer.run(
            lambda tx: pruning.prune_older(tx, before, self._now(), actor, most)
        )

    async def prune_job(self, job_id: str, actor: str) -> None:
        """Remove one finished job. Raises IllegalTransition if it is not, or is not there."""
        await self._writer.run(lambda tx: pruning.prune_one(tx, job_id, self._now(), actor))

    async def job(self, job_id: str) -> Job:
        """The record of a job. Raises JobNotFound or JobPruned."""
        job = await jobs.get(self._readers, job_id)
        if job is not None:
            return job
        if await jobs.was_known(self._readers, job_id):
            raise JobPruned(
                f"Job {job_id} finished and was pruned; what is left of it is in the audit log"
            )
        raise JobNotFound(f"Job {job_id} not found")

    async def page(self, wanted: JobFilter, most: int, before: int = NEWEST) -> Page:
        """The newest ``most`` wanted jobs that were submitted before the one of seq ``before``.

        They may be fewer, and others be left, when their records are large: see ``Page.next``.
        """
        return await listing.page(self._readers_for(wanted), wanted, most, before)

    async def sorted_page(
        self, wanted: JobFilter, most: int, order: Order, after: Place | None = None
    ) -> SortedPage:
        """The first ``most`` wanted jobs in this order behind the place ``after``.

        They may be fewer, and others be left, when their records are large.
        """
        return await sorting.sorted_page(self._readers_for(wanted), wanted, most, order, after)

    async def finished_page(self, wanted: JobFilter, most: int, after: int = 0) -> Page:
        """The first ``most`` wanted jobs that finished with events behind ``after``, in order.

        They may be fewer, and others be left, when their records are large: see ``Page.next``.
        """
        return await finished.finished_page(self._readers_for(wanted), wanted, most, after)

    async def last_finished(self, most: int) -> list[Job]:
        """The ``most`` jobs that finished last, the last one first."""
        return await finished.last_finished(self._readers, most)

    async def metrics(self, job_id: str) -> list[Metric]:
        """A job's numbers, by task, metric and filter; none unless it is completed."""
        return await metrics.of_job(self._readers, job_id)

    async def series(self) -> list[Series]:
        """The series that jobs have, by name."""
        return await trends.series(self._readers)

    async def numbers_of_series(self, names: Sequence[str]) -> list[tuple[str, str, str]]:
        """The task, metric and filter of every number that the jobs of these series have."""
        return await trends.numbers_of(self._readers, names)

    async def points(self, names: Sequence[str], task: str, metric: str, kind: str) -> list[Point]:
        """One number of all jobs of these series, in the order of submission."""
        return await trends.points(self._readers, names, task, metric, kind)

    async def events_after(
        self, after: int, most: int = 500, job_id: str | None = None
    ) -> list[Event]:
        """The first ``most`` events with an id above ``after``, of one job or of all."""
        return await event_log.events_after(self._readers, after, most, job_id)

    async def newest_event_id(self) -> int:
        """The id of the newest event of all; 0 when there is none."""
        return await event_log.newest_event_id(self._readers)

    async def run_dir(self, job_id: str, attempt: int) -> Path | None:
        """The run directory that an attempt was given; None if it has not begun."""
        return await jobs.run_dir(self._readers, job_id, attempt)

    async def durations(self, kind: Kind) -> list[float]:
        """What the newest completed jobs of a kind took, in seconds."""
        return await durations.durations(self._readers, kind)

    async def known(self, job_ids: list[str]) -> dict[str, Known]:
        """Kind and start of these jobs, of those that the store has."""
        return await durations.known(self._readers, job_ids)

    async def running(self) -> list[Job]:
        """The jobs that run."""
        return await jobs.running(self._readers)

    async def queued(self) -> list[tuple[str, int, int]]:
        """Id, priority and submission number of the queued jobs, in the order of the queue."""
        return await jobs.queued(self._readers)

    async def queued_by_submitter(self) -> dict[str, jobs.Queued]:
        """How many jobs of each submitter are queued, and the bytes of their requests."""
        return await jobs.queued_by_submitter(self._readers)

    async def oldest_queued(self) -> str | None:
        """When the earliest submission that is queued was made; None when nothing is queued."""
        return await jobs.oldest_queued(self._readers)

    async def all_ids(self) -> set[str]:
        """The ids of all jobs that the store keeps."""
        return await jobs.all_ids(self._readers)

    async def pruned_among(self, job_ids: list[str]) -> list[str]:
        """Those of the ids that belong to pruned jobs."""
        return await jobs.pruned_among(self._readers, job_ids)

    async def count_by_status(self) -> dict[Status, int]:
        """How many jobs the store keeps in each state."""
        return await jobs.count_by_status(self._readers)

    async def keep_answer(
        self, engine: str, question: str, version: str, answer: list[str]
    ) -> None:
        """Keep what a harness answered to a question outside a job."""
        entry = Answer(engine, question, version, answer, self._now())
        await self._writer.run(lambda tx: engine_cache.keep(tx, entry))

    async def find_answer(self, engine: str, question: str) -> Answer | None:
        """What a harness answered last, or None."""
        return await engine_cache.find(self._readers, engine, question)

    def _readers_for(self, wanted: JobFilter) -> Readers:
        """A search may take long: it has a connection that nothing else waits for."""
        return self._readers if wanted.search is None else self._search_readers

    def _now(self) -> str:
        return timestamp(self._clock())


def _open_for_writing(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    for setting in SETTINGS:
        connection.execute(f"PRAGMA {setting}")
    # Opens the log, so that its file is there from now on.
    connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    return connection
