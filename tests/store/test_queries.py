"""Query plans use indexes, the views are correct, and read-only clients can read."""

import asyncio
import shutil
import sqlite3
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import aiosqlite
import pytest

from evalserver.core.job import Job, Metric, NewJob
from evalserver.core.lifecycle import EventKind, Status
from evalserver.core.request import EvaluateRequest
from evalserver.core.roles import Role
from evalserver.store import (
    NEWEST,
    BatchNotFound,
    BatchQueries,
    Candidate,
    JobFilter,
    JobQueries,
    Order,
    Place,
    SortKey,
    Store,
    WebhookNotFound,
    attempts,
    cursors,
    durations,
    engine_cache,
    finished,
    gate_verdicts,
    gpu_usage,
    idempotency,
    jobs,
    listing,
    pruning,
    series_baselines,
    server_events,
    sorting,
    submission,
    tokens,
    webhook_messages,
    webhooks,
)
from evalserver.store.durations import Durations
from evalserver.store.event_log import EventLog
from evalserver.store.leaderboard import LeaderboardQueries
from evalserver.store.queued_series import NOTHING
from evalserver.store.readers import Readers
from evalserver.store.store import DATABASE_NAME
from evalserver.store.transaction import Row, Transaction
from evalserver.store.trends import SeriesQueries
from tests.store.test_jobs import ACCURACY, PLENTY, complete, completed, start, submit
from tests.store.test_migrate import change, read, rows

NOW = "2030-01-01T00:00:00.000+00:00"
NEW = NewJob("new", "lmms_eval", EvaluateRequest("dummy", ("mme",)), "alice")
KEY = idempotency.Key("k", "alice", "hash")
KIND = durations.kind_of("lmms_eval", NEW.request)
TOKEN = tokens.Token("id", "alice", Role.VIEWER, "hash", NOW, "bob")
WEBHOOK = webhooks.Webhook("w", "https://a.example/", ("job.failed",), None, {}, "s", NOW, "bob")
MESSAGE = webhook_messages.Message(1, "w", "m", "j", "t", "{}", NOW, 0, None, NOW, None, None)
NEW_MESSAGE = webhook_messages.NewMessage("w", "m", "j", "t", "{}")
ANSWER = engine_cache.Answer("lmms_eval", "tasks", "1", [], NOW)

SOME = frozenset({Status.RUNNING, Status.FAILED})
FILTERS = {
    "statuses": JobFilter(statuses=SOME),
    "search": JobFilter(search="dummy"),
    "job_id": JobFilter(job_id="abcd"),
    "model": JobFilter(model="dummy"),
    "task": JobFilter(task="mme"),
    "engine": JobFilter(engine="lmms_eval"),
    "label": JobFilter(labels=(("team", "a"),)),
    "result_check": JobFilter(result_check="warnings"),
    "failure": JobFilter(failure="unknown"),
    "batch_id": JobFilter(batch_id="b"),
    "series": JobFilter(series="run"),
    "step": JobFilter(step=100),
    "labels": JobFilter(labels=(("team", "a"), ("run", "1"))),
    "submitted_by": JobFilter(submitted_by="alice"),
    "created_after": JobFilter(created_after="2001"),
    "created_before": JobFilter(created_before="2100"),
}
"""A filter for each criterion."""


def together(*filters: JobFilter) -> JobFilter:
    """The filter that combines all of these."""
    given = [(name, value) for each in filters for name, value in vars(each).items() if value]
    return JobFilter(**dict(given))


async def _first_page(wanted: JobFilter, readers: Readers) -> listing.Page:
    return await listing.page(readers, wanted, 1, NEWEST)


async def _first_finished(wanted: JobFilter, readers: Readers) -> listing.Page:
    return await finished.finished_page(readers, wanted, 1, 1)


async def _first_sorted(wanted: JobFilter, readers: Readers) -> None:
    for key in SortKey:
        order, place = Order(key, descending=True), Place("1", 1)
        await sorting.sorted_page(readers, wanted, 1, order, place)


async def _usage_of_a_month(by: gpu_usage.UsageBy, readers: Readers) -> None:
    """Without a period, all attempts are summed."""
    period = gpu_usage.Period("2030-01", "2030-02")
    await gpu_usage.UsageQueries(readers).summary(by, period, 10)


def _queries(readers: Readers) -> JobQueries:
    return JobQueries(readers, readers)


LISTED = {
    "no filter": JobFilter(),
    **FILTERS,
    **{
        f"{one} and {other}": together(FILTERS[one], FILTERS[other])
        for one, other in combinations(FILTERS, 2)
    },
    "all together": together(*FILTERS.values()),
}


async def _batch(readers: Readers) -> None:
    with suppress(BatchNotFound):
        await BatchQueries(readers).batch("b")


STALLED = cast(Job, SimpleNamespace(job_id="id", attempt=1, stalled_since="2030"))

OF_SERIES = cast(
    Job, SimpleNamespace(series="run", step=5, engine="lmms_eval", request=NEW.request)
)

QUERIES: dict[str, Callable[[Readers], Awaitable[Any]]] = {
    "JobQueries.find": lambda readers: _queries(readers).find("id"),
    "JobQueries.find_pruned": lambda readers: _queries(readers).find_pruned("id"),
    "JobQueries.was_known": lambda readers: _queries(readers).was_known("id"),
    "JobQueries.count_stalled": lambda readers: _queries(readers).count_stalled(),
    "JobQueries.fails_for_stall": lambda readers: _queries(readers).fails_for_stall(STALLED),
    "JobQueries.running": lambda readers: _queries(readers).running(),
    "JobQueries.next_unfinished": lambda readers: _queries(readers).next_unfinished(0),
    "JobQueries.queued": lambda readers: _queries(readers).queued(),
    "JobQueries.queued_by_submitter": lambda readers: JobQueries(
        readers, readers
    ).queued_by_submitter(),
    "JobQueries.oldest_queued": lambda readers: _queries(readers).oldest_queued(),
    "JobQueries.all_ids": lambda readers: _queries(readers).all_ids(),
    "JobQueries.count_finished_before": lambda readers: _queries(readers).count_finished_before(
        NOW
    ),
    "JobQueries.pruned_among": lambda readers: _queries(readers).pruned_among(["id"]),
    "EventLog.after": lambda readers: EventLog(readers).after(1, 10, None),
    "EventLog.after of a job": lambda readers: EventLog(readers).after(1, 10, "id"),
    "EventLog.of_kinds": lambda readers: EventLog(readers).of_kinds([EventKind.CLAIMED], 1, 10),
    "EventLog.newest_id": lambda readers: EventLog(readers).newest_id(),
    "draining": server_events.draining,
    "JobQueries.count_by_status": lambda readers: _queries(readers).count_by_status(),
    **{f"page of {name}": partial(_first_page, wanted) for name, wanted in LISTED.items()},
    **{
        f"finished_page of {name}": partial(_first_finished, wanted)
        for name, wanted in LISTED.items()
    },
    **{f"sorted_page of {name}": partial(_first_sorted, wanted) for name, wanted in LISTED.items()},
    "last_finished": lambda readers: finished.last_finished(readers, 10),
    "LeaderboardQueries.considered": lambda readers: LeaderboardQueries(readers).considered(),
    "LeaderboardQueries.considered of series": lambda readers: LeaderboardQueries(
        readers
    ).considered(["run"]),
    "LeaderboardQueries.numbers": lambda readers: LeaderboardQueries(readers).numbers(
        [Candidate("id", 0, 0)], ["mm*"], best=True
    ),
    "SeriesQueries.all": lambda readers: SeriesQueries(readers).all(),
    "SeriesQueries.metrics_of": lambda readers: SeriesQueries(readers).metrics_of(["run"]),
    "SeriesQueries.points": lambda readers: SeriesQueries(readers).points(
        ["run"], "mme", "acc", "none"
    ),
    "JobQueries.to_cancel_on_clusters": lambda readers: _queries(readers).to_cancel_on_clusters(),
    "JobQueries.handed_over": lambda readers: _queries(readers).handed_over(),
    "JobQueries.unfinished_by_executor": lambda readers: _queries(readers).unfinished_by_executor(),
    "JobQueries.metrics": lambda readers: _queries(readers).metrics("id"),
    "JobQueries.run_dir": lambda readers: _queries(readers).run_dir("id", 1),
    "JobQueries.start_by": lambda readers: _queries(readers).start_by("id"),
    "Durations.of_kind": lambda readers: Durations(readers).of_kind(KIND),
    **{f"UsageQueries.summary by {by}": partial(_usage_of_a_month, by) for by in gpu_usage.UsageBy},
    "Durations.known": lambda readers: Durations(readers).known(["id"]),
    "all_tokens": tokens.all_tokens,
    "all_sessions": tokens.all_sessions,
    "BatchQueries.batch": lambda readers: _batch(readers),
    "BatchQueries.newest_ids": lambda readers: BatchQueries(readers).newest_ids(10, "ab"),
    "BatchQueries.unfinished": lambda readers: BatchQueries(readers).unfinished("b"),
    "BatchQueries.completed": lambda readers: BatchQueries(readers).completed("b"),
    "BatchQueries.results": lambda readers: BatchQueries(readers).results("b", 10),
    "find_verdict": lambda readers: gate_verdicts.find_verdict(readers, 1),
    "verdicts": lambda readers: gate_verdicts.verdicts(readers, 10),
    "verdicts of a job": lambda readers: gate_verdicts.verdicts(readers, 10, job_id="id"),
    "verdicts of series": lambda readers: gate_verdicts.verdicts(readers, 10, series=["run"]),
    "earlier_steps": lambda readers: series_baselines.earlier_steps(readers, OF_SERIES),
    "metrics_of_jobs": lambda readers: series_baselines.metrics_of_jobs(readers, ["id"]),
    "find webhook": lambda readers: _webhook(readers),
    "all_webhooks": webhooks.all_webhooks,
    "counted_webhooks": webhooks.counted_webhooks,
    "due": lambda readers: webhook_messages.due(readers, "w", NOW, 5),
    "next_try": lambda readers: webhook_messages.next_try(readers, "w", NOW),
    "count_messages": webhook_messages.count_messages,
    "are_parked": webhook_messages.are_parked,
    "undelivered": lambda readers: webhook_messages.undelivered(readers, "w", 5),
    "is_disk_low": server_events.is_disk_low,
    "read_after": lambda readers: server_events.read_after(readers, 1, 10),
    "was_answered": lambda readers: idempotency.was_answered(readers, KEY),
    "find": lambda readers: engine_cache.find(readers, "lmms_eval", "tasks"),
}

OPERATIONS: dict[str, Callable[[Transaction, str, str], Any]] = {
    "submit_batch and supersede": lambda tx, queued, running: _supersede(tx, queued),
    "submit_batch": lambda tx, queued, running: submission.submit_batch(tx, [NEW], NOW),
    "submit_batch_once": lambda tx, queued, running: idempotency.submit_batch_once(
        tx, [NEW], KEY, NOW, "answer", NOTHING
    ),
    "cancel_queued_among": lambda tx, queued, running: jobs.cancel_queued_among(
        tx, [queued], NOW, "bob"
    ),
    "submit_once": lambda tx, queued, running: idempotency.submit_once(
        tx, NEW, KEY, NOW, str, NOTHING
    ),
    "hand_over": lambda tx, queued, running: attempts.hand_over(tx, _claim_of(queued), 1),
    "start": lambda tx, queued, running: _hand_over_and_start(tx, queued),
    "claim": lambda tx, queued, running: attempts.claim(tx, _claim_of(queued), 1),
    "prioritize": lambda tx, queued, running: jobs.prioritize(tx, queued, 1, NOW, "bob"),
    "cancel_queued": lambda tx, queued, running: jobs.cancel_queued(tx, queued, NOW, "bob"),
    "reattach": lambda tx, queued, running: attempts.reattach(tx, running, NOW),
    "request_cancel": lambda tx, queued, running: jobs.request_cancel(tx, running, NOW, "bob"),
    "interrupt": lambda tx, queued, running: jobs.interrupt(tx, running, NOW, "lost"),
    "postpone": lambda tx, queued, running: jobs.postpone(tx, running, NOW, "late"),
    "finish": lambda tx, queued, running: jobs.finish(tx, running, NOW, completed(ACCURACY)),
    "retry": lambda tx, queued, running: _end_and_retry(tx, running),
    "prune": lambda tx, queued, running: pruning.prune(tx, 0, NOW),
    "prune_older": lambda tx, queued, running: pruning.prune_older(tx, NOW, NOW, "bob"),
    "prune_one": lambda tx, queued, running: _end_and_prune(tx, running),
    "prune_to": lambda tx, queued, running: pruning.prune_to(tx, 1, 1000, NOW),
    "prune_to_fit": lambda tx, queued, running: pruning.prune_to_fit(tx, 1000, NOW),
    "erase_one": lambda tx, queued, running: _end_and_erase(tx, running),
    "keep verdict": lambda tx, queued, running: _end_and_judge(tx, running),
    "erase_verdicts": lambda tx, queued, running: gate_verdicts.erase_verdicts(tx, running),
    "drain": lambda tx, queued, running: server_events.drain(tx, NOW, "bob", None),
    "resume": lambda tx, queued, running: server_events.resume(tx, NOW, "bob"),
    "require_open_queue": lambda tx, queued, running: server_events.require_open_queue(tx),
    "append": lambda tx, queued, running: server_events.append(
        tx, server_events.ServerOperation.BACKED_UP, NOW, "bob", {}
    ),
    "keep": lambda tx, queued, running: engine_cache.keep(tx, ANSWER),
    "begin_cursor": lambda tx, queued, running: cursors.begin_cursor(tx, "gates", ()),
    "advance": lambda tx, queued, running: cursors.advance(tx, "gates", 1),
    "create webhook": lambda tx, queued, running: webhooks.create(tx, WEBHOOK),
    "enable": lambda tx, queued, running: _change_webhook(tx, webhooks.enable),
    "disable": lambda tx, queued, running: webhooks.disable(tx, "w", NOW, "gone"),
    "rotate": lambda tx, queued, running: _change_webhook(tx, webhooks.rotate, "new", NOW),
    "delete": lambda tx, queued, running: _change_webhook(tx, webhooks.delete),
    "enqueue": lambda tx, queued, running: _enqueue(tx),
    "delivered": lambda tx, queued, running: webhook_messages.delivered(tx, MESSAGE, NOW),
    "failed": lambda tx, queued, running: webhook_messages.failed(tx, MESSAGE, "why", NOW, NOW),
    "park": lambda tx, queued, running: webhook_messages.park(tx, MESSAGE, "why", NOW),
    "resend": lambda tx, queued, running: webhook_messages.resend(tx, "w", NOW),
    "discard": lambda tx, queued, running: webhook_messages.discard(tx, "w"),
    "begin_cursor of the server's log": lambda tx, queued, running: server_events.begin_cursor(
        tx, "webhooks"
    ),
    "create": lambda tx, queued, running: tokens.create(tx, TOKEN),
    "revoke": lambda tx, queued, running: _create_and_revoke(tx),
    "note_use": lambda tx, queued, running: tokens.note_use(tx, "id", NOW),
    "open_session": lambda tx, queued, running: _log_in(tx),
    "close_session": lambda tx, queued, running: tokens.close_session(tx, "hash"),
}


@pytest.fixture
def statements() -> list[str]:
    """Every statement that SQLite executes on the connections below, with its parameters."""
    return []


@pytest.fixture
async def readers(store: Store, tmp_path: Path, statements: list[str]) -> AsyncIterator[Readers]:
    """A separate connection to the store's database, for queries."""
    async with aiosqlite.connect(tmp_path / DATABASE_NAME, isolation_level=None) as connection:
        connection.row_factory = Row
        await connection.set_trace_callback(statements.append)
        with closing(sqlite3.connect(tmp_path / DATABASE_NAME, isolation_level=None)) as at_once:
            at_once.row_factory = Row
            at_once.set_trace_callback(statements.append)
            yield Readers([connection], at_once)


@pytest.fixture
def transaction(store: Store, tmp_path: Path, statements: list[str]) -> Iterator[Transaction]:
    """A separate connection to the store's database, for operations."""
    with closing(sqlite3.connect(tmp_path / DATABASE_NAME, isolation_level=None)) as connection:
        connection.row_factory = Row
        connection.execute("PRAGMA foreign_keys = ON")
        connection.set_trace_callback(statements.append)
        yield Transaction(connection, [])


MODULES = (
    attempts, cursors, jobs, engine_cache, finished, gate_verdicts, listing, idempotency, pruning,
    series_baselines, server_events, sorting, submission, tokens, webhook_messages, webhooks,
)  # fmt: skip
PARTS = (
    JobQueries, BatchQueries, SeriesQueries, LeaderboardQueries, Durations, EventLog,
    gpu_usage.UsageQueries,
)  # fmt: skip

EXCLUDED = {
    "Answer", "Answered", "Claim", "ServerOperation", "Draining", "EngineCache", "Key",
    "LoginSession", "is_handed_over", "require_begun", "require_not_handed_over", "require_status",
    "CursorStore", "Message", "NewMessage", "Webhook", "EarlierStep", "KeptVerdict", "NewVerdict",
    "Order", "Page", "Place", "SortKey", "SortedPage", "SeqRange",
    "Submission", "Token", "counted", "read_jobs", "size_of",
    "seq_range_of", "token_of", "tokens_in",
    "JobQueries.job", "JobQueries.page", "JobQueries.sorted_page", "JobQueries.finished_page",
    "JobQueries.last_finished", "JobQueries.with_pruned", "first_line",
}  # fmt: skip
"""Names in the modules that are neither operations nor queries, or are covered otherwise."""

ALLOWED_SCANS = {
    "SCAN job_counts": "a row a status",
    "SCAN tokens": "a row a person",
    "SCAN tokens USING INDEX sqlite_autoindex_tokens_2": "the same, by name",
    "SCAN login_sessions": "a row a browser",
    "SCAN webhooks": "at most fifty rows",
    "SCAN webhook_messages USING INDEX webhook_messages_parked": "its first row",
    "SCAN names": "a row a name",
    "SCAN ids": "a row a batch",
    "SCAN few": "what a rare criterion leads to",
    "SCAN levels": "a row a priority",
    "SCAN job_spans": "a row for 512 submissions",
    "SCAN json_each VIRTUAL TABLE INDEX 1:": "what the question itself lists",
    "SCAN grouped": "the sums of a period's attempts",
    "SCAN ranked": "the numbers of the jobs that the question lists",
    "SCAN evaluations": "the jobs of the series that the question lists",
    "SCAN wanted VIRTUAL TABLE INDEX 1:": "what the question itself lists",
    "SCAN CONSTANT ROW": "no table at all",
}
"""Scans that are allowed, and why."""


SCAN_OF_IDS = "SCAN jobs USING COVERING INDEX sqlite_autoindex_jobs_1"
"""For the end of an id: an index of ends would cost each submission a page of its own."""


def _supersede(tx: Transaction, queued: str) -> None:
    request = EvaluateRequest("dummy", ("mme",), series="run", step=1)
    newer = replace(request, step=2, on_newer="supersede")
    submission.submit_batch(tx, [replace(NEW, job_id="older", request=request)], NOW)
    submission.submit_batch(tx, [replace(NEW, job_id="newer", request=newer)], NOW)


def _claim_of(queued: str) -> attempts.Claim:
    return attempts.Claim(queued, NOW, "r", "o", after_event=sys.maxsize)


def _hand_over_and_start(tx: Transaction, queued: str) -> None:
    attempts.hand_over(tx, _claim_of(queued), 1)
    attempts.start(tx, queued, NOW, NOW)


def _end_and_prune(tx: Transaction, running: str) -> None:
    jobs.finish(tx, running, NOW, completed(ACCURACY))
    pruning.prune_one(tx, running, NOW, "bob")


def _end_and_erase(tx: Transaction, running: str) -> None:
    jobs.finish(tx, running, NOW, completed(ACCURACY))
    pruning.erase_one(tx, running, NOW, "bob")


def _end_and_retry(tx: Transaction, running: str) -> None:
    jobs.finish(tx, running, NOW, completed(ACCURACY))
    jobs.retry(tx, running, NOW, "bob")


def _end_and_judge(tx: Transaction, running: str) -> None:
    jobs.finish(tx, running, NOW, completed(ACCURACY))
    new = gate_verdicts.NewVerdict(running, 1, None, None, "b", "p", True, "go", "why", {})
    gate_verdicts.keep(tx, new, NOW, "bob")


def _create_and_revoke(tx: Transaction) -> None:
    tokens.create(tx, TOKEN)
    tokens.revoke(tx, TOKEN.name, NOW, "bob")


def _change_webhook(tx: Transaction, change: Callable[..., None], *values: str) -> None:
    webhooks.create(tx, WEBHOOK)
    change(tx, "w", *values)


def _enqueue(tx: Transaction) -> None:
    webhooks.create(tx, WEBHOOK)
    cursors.begin_cursor(tx, "webhooks", ())
    webhook_messages.enqueue(tx, "webhooks", 1000, [NEW_MESSAGE], NOW)


async def _webhook(readers: Readers) -> None:
    with suppress(WebhookNotFound):
        await webhooks.find(readers, "w")


def _log_in(tx: Transaction) -> None:
    tokens.create(tx, TOKEN)
    tokens.open_session(tx, tokens.LoginSession("hash", TOKEN.token_id, NOW, NOW))


def full_scans(folder: Path, statements: list[str]) -> list[str]:
    """The steps of the statements' plans that read every row of a table."""
    # SQLite traces what it does within a statement as a comment, which has no plan.
    asked = [sql for sql in statements if not sql.startswith("--")]
    assert asked
    return [step for sql in asked for step in plan(folder, sql) if _reads_all(step, sql)]


def plan(folder: Path, sql: str) -> list[str]:
    """SQLite's query plan for a statement."""
    return [str(row[3]) for row in rows(folder, f"EXPLAIN QUERY PLAN {sql}")]


def _reads_all(step: str, sql: str) -> bool:
    # A covering index is a small copy of the table, so a full listing may scan it. The newest row
    # is the last of the table: one step. The result of a subquery is not a table.
    newest = sql.endswith("ORDER BY event_id DESC LIMIT 1")
    fine = newest or "COVERING INDEX" in step or "(subquery-" in step or step in ALLOWED_SCANS
    return step.startswith("SCAN ") and not fine


@pytest.mark.parametrize("name", QUERIES)
async def test_no_query_reads_a_whole_table(
    readers: Readers, statements: list[str], tmp_path: Path, name: str
) -> None:
    await QUERIES[name](readers)

    assert full_scans(tmp_path, statements) == []


@pytest.mark.parametrize("name", OPERATIONS)
async def test_no_operation_reads_a_whole_table(
    store: Store,
    transaction: Transaction,
    statements: list[str],
    tmp_path: Path,
    name: str,
) -> None:
    queued, running, _ = await submit(store), await start(store), await complete(store)

    OPERATIONS[name](transaction, queued, running)

    assert full_scans(tmp_path, statements) == []


def test_every_operation_and_query_is_covered() -> None:
    public = {
        name
        for module in MODULES
        for name, value in vars(module).items()
        if callable(value)
        and getattr(value, "__module__", "") == module.__name__
        and not name.startswith("_")
    }

    public |= {f"{part.__name__}.{name}" for part in PARTS for name in vars(part) if name[0] != "_"}

    covered = {name.partition(" ")[0] for name in [*QUERIES, *OPERATIONS]}
    assert public - EXCLUDED == covered


async def test_a_full_scan_is_detected(store: Store, tmp_path: Path) -> None:
    assert full_scans(tmp_path, ["SELECT * FROM jobs WHERE run_dir = 'r'"]) == ["SCAN jobs"]


@pytest.mark.parametrize("name", LISTED)
async def test_a_page_reads_only_the_end_of_an_index(
    readers: Readers, statements: list[str], tmp_path: Path, name: str
) -> None:
    await _first_page(LISTED[name], readers)

    steps = [step for sql in statements for step in plan(tmp_path, sql) if "COVERING" in step]
    assert [step for step in steps if step.startswith("SCAN ") and step != SCAN_OF_IDS] == []


async def test_the_queue_needs_no_sorting(
    readers: Readers, statements: list[str], tmp_path: Path
) -> None:
    await _queries(readers).queued()

    [sql] = statements
    assert "USE TEMP B-TREE FOR ORDER BY" not in plan(tmp_path, sql)


async def test_durations_are_read_from_their_index_only(
    readers: Readers, statements: list[str], tmp_path: Path
) -> None:
    await Durations(readers).of_kind(KIND)

    [sql] = statements
    of_kind = "(engine=? AND model=? AND tasks"
    steps = [step for step in plan(tmp_path, sql) if step.startswith(("SEARCH", "USE TEMP"))]
    assert [step.partition(" AND <expr>")[0].partition(" AND sample")[0] for step in steps] == [
        f"SEARCH jobs USING INDEX jobs_durations {of_kind}=?",
        f"SEARCH pruned_jobs USING INDEX pruned_jobs_durations {of_kind}=?",
        "USE TEMP B-TREE FOR ORDER BY",
    ]


async def test_queue_now_shows_the_queue_in_order(store: Store, tmp_path: Path) -> None:
    second = await submit(store, priority=1)
    third = await submit(store)
    first = await submit(store, priority=2)
    await start(store, priority=3)

    queue = rows(tmp_path, "SELECT position_in_queue, job_id, submitted_by FROM queue_now")

    assert queue == [(0, first, "alice"), (1, second, "alice"), (2, third, "alice")]


async def test_leaderboard_shows_the_best_of_each_metric_first(
    store: Store, tmp_path: Path
) -> None:
    loss = Metric("mme", "loss", "none", 1.0, None, None, higher_is_better=False)
    for model, value in {"bad": 0.25, "good": 0.75}.items():
        job_id = await start(store, model=model, model_args={"path": model})
        numbers = (replace(ACCURACY, value=value), replace(loss, value=1 - value))
        await store.jobs.finish(job_id, completed(*numbers), PLENTY)

    board = rows(tmp_path, "SELECT metric, value, model, model_args FROM leaderboard")

    assert board == [
        ("acc", 0.75, "good", '{"path":"good"}'),
        ("acc", 0.25, "bad", '{"path":"bad"}'),
        ("loss", 0.25, "good", '{"path":"good"}'),
        ("loss", 0.75, "bad", '{"path":"bad"}'),
    ]


async def test_who_ran_what_shows_the_newest_first(store: Store, tmp_path: Path) -> None:
    await complete(store, model="old")
    await submit(store, model="new")

    ran = rows(tmp_path, "SELECT submitted_by, model, tasks, status FROM who_ran_what")

    assert ran == [("alice", "new", '["mme"]', "queued"), ("alice", "old", '["mme"]', "completed")]


async def test_time_per_model_sums_what_its_jobs_took(store: Store, tmp_path: Path) -> None:
    for model in ("big", "big", "small"):
        await complete(store, model=model)
    change(
        tmp_path / DATABASE_NAME,
        "UPDATE jobs SET started_at = '2030-01-01T00:00:00.000+00:00',"
        " completed_at = '2030-01-01T00:01:00.500+00:00'",
    )

    times = rows(tmp_path, "SELECT model, engine, jobs, seconds FROM time_per_model")

    assert times == [("big", "lmms_eval", 2, 121.0), ("small", "lmms_eval", 1, 60.5)]


async def test_a_reader_sees_every_change_while_the_store_is_open(
    store: Store, tmp_path: Path
) -> None:
    seen = []
    for _ in range(3):
        await submit(store)
        seen += read(tmp_path / DATABASE_NAME, "SELECT count(*) FROM jobs")

    assert seen == [(1,), (2,), (3,)]


@pytest.mark.skipif(shutil.which("sqlite3") is None, reason="the program sqlite3 is not installed")
async def test_the_sqlite3_program_can_read_while_the_store_is_open(
    store: Store, tmp_path: Path
) -> None:
    await submit(store)

    sql = "SELECT model FROM queue_now"
    program = await asyncio.create_subprocess_exec(
        "sqlite3", "-readonly", tmp_path / DATABASE_NAME, sql, stdout=PIPE
    )
    answer, _ = await program.communicate()

    assert (answer, program.returncode) == (b"dummy\n", 0)
