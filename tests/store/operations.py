"""Operations on the store that hypothesis generates, and the ways in which callers run them."""

import asyncio
import shutil
from collections.abc import Iterable
from datetime import UTC
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import Bundle

from evalserver.core.clock import timestamp
from evalserver.core.job import Failure, Job, Metric, Outcome
from evalserver.core.lifecycle import Status
from evalserver.core.request import MAX_STEP, EvaluateRequest
from evalserver.store import CancelledJobs, IllegalTransition, Store
from tests.store.model import FINISHED, STARTS_FROM, Operation
from tests.store.test_migrate import rows

JOBS: Bundle[str] = Bundle("jobs")
"""Every job ever submitted, including pruned ones."""

RECORDS: Bundle[Job] = Bundle("records")
"""Job records that were read at some time; they may be stale."""

KEEP_ALL = 1000
"""More finished jobs than any test has."""

ACTORS = st.sampled_from(["alice", "bob"])
KEEP = st.just(KEEP_ALL) | st.integers(0, 4)
TIMES = st.datetimes(timezones=st.just(UTC)).map(timestamp)
NUMBERS = st.floats(allow_nan=False)
METRICS = st.builds(
    Metric, value=NUMBERS, stderr=st.none() | NUMBERS, n=st.none() | st.integers(0, 10**6)
)
REQUESTS = st.builds(
    EvaluateRequest,
    st.just("dummy"),
    st.just(("mme",)),
    priority=st.integers(-1, 1),
    labels=st.dictionaries(st.text(), st.text(), max_size=2),
    series=st.sampled_from(["run", "run", "other run", None]),
    step=st.sampled_from([1, 2, 3, MAX_STEP, None]),
    num_gpus=st.integers(0, 1),
    max_attempts=st.integers(1, 3),
)
COMPLETED = st.builds(
    Outcome,
    st.just(Status.COMPLETED),
    TIMES,
    st.just(0),
    result=st.just({"dummy": {"metrics": {}}}),
    metrics=st.lists(METRICS, max_size=3, unique_by=lambda m: (m.task, m.metric, m.filter)).map(
        tuple
    ),
    provenance=st.none() | st.just({"host": "here"}),
    started_at=TIMES,
)
FAILED = st.builds(
    Outcome,
    st.just(Status.FAILED),
    TIMES,
    st.none() | st.integers(1, 255),
    st.text(min_size=1),
    failure=st.none() | st.builds(Failure, st.just("disk_full"), st.text()),
    partial=st.none() | st.just({"mme": {"acc,none": 0.5}}),
    started_at=st.none() | TIMES,
)
CANCELLED = st.builds(Outcome, st.just(Status.CANCELLED), TIMES, st.none() | st.integers(0, 255))


def operation(name: str, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Operation]:
    """Operations of one kind, not yet bound to a job."""
    return st.builds(Operation, st.just(name), st.tuples(*arguments))


OPERATIONS = {
    "claim": st.one_of(
        *(operation("claim", st.just(Path(run)), st.just(Path("out"))) for run in "abc")
    ),
    "hand_over": operation("hand_over", st.just(Path("a")), st.just(Path("out"))),
    "start": operation("start", TIMES),
    "cancel_queued": operation("cancel_queued", ACTORS, KEEP),
    "prioritize": operation("prioritize", st.integers(-2, 2), ACTORS),
    "reattach": operation("reattach"),
    "request_cancel": operation("request_cancel", ACTORS),
    "stall": operation("stall", TIMES),
    "end_stall": operation("end_stall"),
    "interrupt": operation("interrupt", st.just("lost")),
    "postpone": operation("postpone", st.just("late")),
    "finish": st.one_of(
        *(operation("finish", end, KEEP) for end in (COMPLETED, FAILED, CANCELLED))
    ),
    "retry": operation("retry", ACTORS),
}
ANY_OPERATION = st.one_of(*OPERATIONS.values(), operation("prune", KEEP))

TargetedOperation = tuple[str, Operation]
SEVERAL = st.lists(st.tuples(JOBS, ANY_OPERATION), max_size=4)
"""Operations, legal or not, with their target jobs."""

LEGAL = st.fixed_dictionaries(
    {
        state: st.one_of(
            *(
                OPERATIONS[name]
                for name, states in STARTS_FROM.items()
                # A job that is to be cancelled is not postponed.
                if state in states and name != "postpone"
            )
        )
        for state in ("queued", "handed_over", "running", *FINISHED)
    }
)
"""A legal operation for each state of a job."""


async def answer(store: Store, operation: Operation) -> Any:
    """The store's result, or IllegalTransition; any other exception fails the test."""
    try:
        result = await getattr(store.jobs, operation.name)(*operation.arguments)
    except IllegalTransition:
        return IllegalTransition
    is_several = isinstance(result, CancelledJobs)
    return (result.cancelled, result.pruned) if is_several else result


async def run_concurrently(store: Store, operations: Iterable[Operation]) -> list[Any]:
    """The results of operations that are submitted together, in this order."""
    return await asyncio.gather(*(answer(store, operation) for operation in operations))


async def run_with_cancelled_caller(
    store: Store, operations: list[Operation], passes: int
) -> list[Any]:
    """Run operations concurrently, but cancel the first caller after some passes of the event loop.

    Its result is missing if it had none by then.
    """
    first = asyncio.create_task(answer(store, operations[0]))
    others = asyncio.create_task(run_concurrently(store, operations[1:]))
    for _ in range(passes):
        await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first, others])
    # Runs after everything that was submitted, so that it is decided; there is nothing to prune.
    await store.jobs.prune(KEEP_ALL)
    return others.result() if first.cancelled() else [first.result(), *others.result()]


async def run_while_closing(store: Store, operations: Iterable[Operation]) -> list[Any]:
    """Run operations concurrently, but close the store while the callers wait."""
    callers = [asyncio.create_task(answer(store, operation)) for operation in operations]
    await asyncio.sleep(0)
    await store.close()
    return await asyncio.gather(*callers)


async def run_until_kill(
    store: Store, operations: Iterable[Operation], folder: Path, remains: Path, statement: int
) -> bool:
    """Copy ``folder`` as SIGKILL would leave it before that statement of the writer, or at the end.

    Returns whether all callers had their results by then.
    """
    seen = 0

    def count(_: str) -> None:
        nonlocal seen
        seen += 1
        if seen == statement:
            shutil.copytree(folder, remains)

    # Called by SQLite between two statements, when nothing writes to the files.
    store._connection.set_trace_callback(count)
    await run_concurrently(store, operations)
    answered = seen < statement
    if answered:
        shutil.copytree(folder, remains)
    await store.close()
    return answered


async def read_all(store: Store, job_ids: Iterable[str]) -> list[Any]:
    """The records of the jobs, or the type of the exception raised instead of a record."""
    found = await asyncio.gather(*map(store.queries.job, job_ids), return_exceptions=True)
    return [type(one) if isinstance(one, Exception) else one for one in found]


def audit_log(folder: Path) -> list[tuple[Any, ...]]:
    """The audit log on disk, in the model's format."""
    columns = "event_id, at, actor, job_id, event, from_status, to_status, attempt"
    return rows(folder, f"SELECT {columns} FROM job_events ORDER BY event_id")  # noqa: S608
