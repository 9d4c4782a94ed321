"""Stateful test: the store against a model in plain Python."""

import asyncio
import tempfile
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import astuple
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
)

from evalserver.core.clock import timestamp
from evalserver.core.job import Job, NewJob
from evalserver.core.lifecycle import Status
from evalserver.core.request import EvaluateRequest
from evalserver.scheduling.queue_index import QueueIndex
from evalserver.store import (
    DATABASE_NAME,
    CommittedEvent,
    IllegalTransition,
    JobFilter,
    JobNotFound,
    JobPruned,
    Page,
    Store,
    check_database,
    snapshot,
)
from tests.store.model import CHANGE_STATE, STARTS_FROM, Model, Operation
from tests.store.operations import (
    ANY_OPERATION,
    JOBS,
    KEEP,
    KEEP_ALL,
    LEGAL,
    OPERATIONS,
    RECORDS,
    REQUESTS,
    SEVERAL,
    TargetedOperation,
    audit_log,
    read_all,
    run_concurrently,
    run_until_kill,
    run_while_closing,
    run_with_cancelled_caller,
)
from tests.store.test_audit_log import broken_links
from tests.store.test_migrate import contents, rows

UNKNOWN = "never-was"


def new_job(job_id: str, request: EvaluateRequest, batch_id: str | None = None) -> NewJob:
    """A job as the server makes it where the newest step of every series goes first."""
    newest_first = request.series is not None and request.step is not None
    return NewJob(
        job_id, "lmms_eval", request, "alice", batch_id=batch_id, newest_first=newest_first
    )


class StoreAndModel(RuleBasedStateMachine):
    """Applies the same operations to a store and to the model, and compares their visible state."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.run = self.runner.get_loop().run_until_complete
        self.temporary = tempfile.TemporaryDirectory()
        self.folder = Path(self.temporary.name, "1")
        self.folder.mkdir()
        self.now = datetime(2030, 1, 1, tzinfo=UTC)
        self.model = Model(timestamp(self.now))
        self.run(self.open())

    async def open(self) -> None:
        """Open the store as a starting server does: load the queue, and follow its changes."""
        self.store = await Store.open(self.folder, lambda: self.now)
        self.received: list[CommittedEvent] = []
        self.known_at_start = len(audit_log(self.folder))
        self.index = QueueIndex()
        self.store.subscribe(self.listen)
        for queued in await self.store.queries.queued():
            self.index.add(queued)

    def listen(self, event: CommittedEvent) -> None:
        """Update the queue index as the scheduler does on an event."""
        self.received.append(event)
        if event.in_place_of is not None:
            self.index.exchange_places(event.job_id, event.in_place_of)
        if event.queued is None:
            self.index.remove(event.job_id)
        else:
            self.index.add(event.queued)

    def teardown(self) -> None:
        """Close the store, and check the whole database file."""
        self.run(self.store.close())
        self.runner.close()
        with snapshot(self.folder / DATABASE_NAME) as database:
            assert check_database(database).problem is None
        self.temporary.cleanup()

    def bind(self, targeted: Iterable[TargetedOperation]) -> list[Operation]:
        """The operations as a caller submits them who has just read the jobs."""
        return [operation.on(self.model.record(job_id)) for job_id, operation in targeted]

    def _first_or(self, job_id: str) -> str:
        """Replace a queued job by the first in the queue: no other one can be claimed."""
        return self.model.first() if self.model.state(job_id) == "queued" else job_id

    def do(self, *operations: Operation) -> list[Any]:
        """Apply the operations to both, and compare the results."""
        answers = self.run(run_concurrently(self.store, operations))
        assert answers == [self.model.answer(operation) for operation in operations]
        return answers

    def adopt_matching_model(self, possible: Iterable[Model]) -> None:
        """Continue with the model that matches the database file."""
        log = audit_log(self.folder)
        matching = [model for model in possible if model.log == log]
        assert matching, f"an operation was applied partially, or lost: {log}"
        self.model = matching[0]

    @initialize(target=JOBS, requests=st.lists(REQUESTS, min_size=1, max_size=4))
    def submit_first(self, requests: list[EvaluateRequest]) -> MultipleResults[str] | str:
        """Submit a first job, which the other rules need."""
        return self.submit(requests, [])

    @rule(target=JOBS, requests=st.lists(REQUESTS, min_size=1, max_size=3), others=SEVERAL)
    def submit(
        self, requests: list[EvaluateRequest], others: list[TargetedOperation]
    ) -> MultipleResults[str] | str:
        """Submit jobs, concurrently with other operations."""
        new = [
            new_job(f"job-{number}", request)
            for number, request in enumerate(requests, start=self.model.submitted + 1)
        ]
        submissions = [Operation("submit", (job,)) for job in new]
        self.do(*submissions, *self.bind(others))
        return multiple(*(job.job_id for job in new))

    @rule(target=JOBS, requests=st.lists(REQUESTS, min_size=1, max_size=3), others=SEVERAL)
    def submit_batch(
        self, requests: list[EvaluateRequest], others: list[TargetedOperation]
    ) -> MultipleResults[str]:
        """Submit jobs together, concurrently with other operations."""
        first = self.model.submitted + 1
        new = [
            new_job(f"job-{number}", request, batch_id=f"batch-{first}")
            for number, request in enumerate(requests, start=first)
        ]
        self.do(Operation("submit_batch", (new,)), *self.bind(others))
        return multiple(*(job.job_id for job in new))

    @rule(job_ids=st.lists(JOBS | st.just(UNKNOWN), max_size=4), keep=KEEP, others=SEVERAL)
    def cancel_several(
        self, job_ids: list[str], keep: int, others: list[TargetedOperation]
    ) -> None:
        """Cancel those of the jobs that are queued, concurrently with other operations."""
        self.do(Operation("cancel_queued_among", (job_ids, "bob", keep)), *self.bind(others))

    @rule(targeted=SEVERAL)
    def run_arbitrary_operations(self, targeted: list[TargetedOperation]) -> None:
        """Run any operations, legal or not, on any jobs."""
        self.do(*self.bind(targeted))

    @rule(job_id=JOBS, operations=st.lists(ANY_OPERATION, min_size=2, max_size=5))
    def run_operations_on_one_job(self, job_id: str, operations: list[Operation]) -> None:
        """An earlier operation decides whether a later one is legal."""
        self.do(*self.bind((job_id, operation) for operation in operations))

    @rule(target=RECORDS, job_id=JOBS, legal=LEGAL, seconds=st.integers(-5000, 5000))
    def run_legal_operation(self, job_id: str, legal: dict[str, Operation], seconds: int) -> Job:
        """Run an operation that is legal in the job's state, with a clock that may be set back."""
        job_id = self._first_or(job_id)
        before = self.model.record(job_id)
        self.now += timedelta(seconds=seconds)
        self.model.now = timestamp(self.now)
        if state := self.model.state(job_id):
            assert self.do(legal[state].on(before)) != [IllegalTransition]
        return before

    @rule(several=st.lists(st.tuples(JOBS, LEGAL), min_size=2, max_size=5))
    def run_legal_operations_concurrently(
        self, several: list[tuple[str, dict[str, Operation]]]
    ) -> None:
        """An operation that is legal when submitted may be illegal when it is executed."""
        states = [(job_id, self.model.state(job_id), legal) for job_id, legal in several]
        self.do(*self.bind((job_id, legal[state]) for job_id, state, legal in states if state))

    @rule(job_id=JOBS, some=LEGAL, others=LEGAL)
    def run_mutually_exclusive_operations(
        self, job_id: str, some: dict[str, Operation], others: dict[str, Operation]
    ) -> None:
        """Of two operations that both change the job's state, exactly one succeeds."""
        job_id = self._first_or(job_id)
        state = self.model.state(job_id)
        if state and {some[state].name, others[state].name} <= CHANGE_STATE:
            answers = self.do(*self.bind([(job_id, some[state]), (job_id, others[state])]))
            assert [answer is IllegalTransition for answer in answers] == [False, True]

    @rule(job_id=JOBS | st.just(UNKNOWN), operations=st.fixed_dictionaries(OPERATIONS))
    def run_illegal_operations(self, job_id: str, operations: dict[str, Operation]) -> None:
        """Operations that are illegal in the job's state are rejected and change nothing."""
        before = contents(self.folder)
        state = self.model.state(job_id)
        illegal = [
            operation for name, operation in operations.items() if state not in STARTS_FROM[name]
        ]
        assert set(self.do(*self.bind((job_id, operation) for operation in illegal))) == {
            IllegalTransition
        }
        assert contents(self.folder) == before

    @rule(record=RECORDS, claim=OPERATIONS["claim"])
    def claim_with_stale_record(self, record: Job, claim: Operation) -> None:
        """An attempt that has begun since the record was read is not begun again."""
        self.do(claim.on(record))

    @rule(targeted=SEVERAL.filter(bool), passes=st.integers(0, 3))
    def cancel_first_caller(self, targeted: list[TargetedOperation], passes: int) -> None:
        """The operation of a cancelled caller is applied entirely or not at all."""
        operations = self.bind(targeted)
        answers = self.run(run_with_cancelled_caller(self.store, operations, passes))
        done, undone = deepcopy(self.model), deepcopy(self.model)
        expected = [done.answer(operation) for operation in operations]
        possible = []
        if answers == expected[len(expected) - len(answers) :]:
            possible.append(done)
        if answers == [undone.answer(operation) for operation in operations[1:]]:
            possible.append(undone)
        self.adopt_matching_model(possible)

    @rule(targeted=SEVERAL)
    def restart(self, targeted: list[TargetedOperation]) -> None:
        """Close and reopen the store; operations submitted before are carried out."""
        operations = self.bind(targeted)
        answers = self.run(run_while_closing(self.store, operations))
        assert answers == [self.model.answer(operation) for operation in operations]
        self.run(self.open())

    @rule(targeted=SEVERAL, statement=st.integers(1, 40))
    def kill(self, targeted: list[TargetedOperation], statement: int) -> None:
        """Acknowledged operations are on disk; of the rest, a prefix is, each operation
        entirely."""
        operations = self.bind(targeted)
        folder = self.folder
        self.folder = folder.with_name(f"{folder.name}+")
        answered = self.run(run_until_kill(self.store, operations, folder, self.folder, statement))
        self.run(self.open())
        possible = list(self.model.states_after_each(operations))
        self.adopt_matching_model(possible[-1:] if answered else possible)

    @invariant()
    def jobs_match_the_model(self) -> None:
        """In every column; pruned jobs and unknown ids are distinguished."""
        ids = [*self.model.jobs, *self.model.pruned, UNKNOWN]
        found = self.run(read_all(self.store, ids))
        missing = [*(JobPruned for _ in self.model.pruned), JobNotFound]
        assert found == [*self.model.jobs.values(), *missing]

    @invariant()
    def queue_order_matches(self) -> None:
        """In the store, and in the index that follows it."""
        queue = self.model.queue()
        stored = self.run(self.store.queries.queued())
        assert [(job.job_id, job.priority, job.place) for job in stored] == queue
        assert list(self.index) == [*self.model.at_places().values()]

    @invariant()
    def oldest_queued_matches(self) -> None:
        """Whatever its priority."""
        first = min(self.model.jobs_in("queued"), key=lambda job: job.seq, default=None)
        assert self.run(self.store.queries.oldest_queued()) == (first and first.created_at)

    @invariant()
    def counts_match(self) -> None:
        """By state, with all ids and the running jobs."""
        states = [job.status for job in self.model.jobs.values()]
        counts = {status: states.count(status) for status in Status}
        assert self.run(self.store.queries.count_by_status()) == counts
        assert self.run(self.store.queries.all_ids()) == set(self.model.jobs)
        running = self.run(self.store.queries.running())
        assert sorted(running, key=lambda job: job.seq) == self.model.jobs_in("running")

    @invariant()
    def listings_match(self) -> None:
        """By state, the newest submission first."""
        for status in Status:
            page = self.run(self.store.queries.page(JobFilter(frozenset({status})), KEEP_ALL))
            assert page == Page(self.model.jobs_in(status)[::-1], None)

    @invariant()
    def metrics_match(self) -> None:
        """Only those of the last completion, and also those of pruned jobs."""
        expected = {(job_id, *astuple(m)) for job_id, ms in self.model.metrics.items() for m in ms}
        assert set(rows(self.folder, "SELECT * FROM metrics")) == expected

    @invariant()
    def usage_matches(self) -> None:
        """A row for each attempt that has ended, also of pruned jobs."""
        found = {(row[0], row[1]): row[2:] for row in rows(self.folder, "SELECT * FROM gpu_usage")}
        assert found == {
            # Julian days have a resolution of about 0.05 ms.
            key: (*facts, pytest.approx(seconds, abs=0.001))
            for key, (*facts, seconds) in self.model.usage.items()
        }

    @invariant()
    def audit_log_matches(self) -> None:
        """Without gaps, and with an intact hash chain."""
        assert audit_log(self.folder) == self.model.log
        assert broken_links(self.folder) == []

    @invariant()
    def running_jobs_hold_their_gpus(self) -> None:
        """And nobody else does."""
        holds = self.run(self.store.gpus.holds())
        assert {gpu: hold.holder_id for gpu, hold in holds.items()} == self.model.holders

    @invariant()
    def listener_received_every_event(self) -> None:
        """In the order of the log."""
        assert self.received == self.model.events[self.known_at_start :]


StoreAndModel.TestCase.settings = settings(max_examples=30, stateful_step_count=50)
# It takes seconds when it passes; a failure is shrunk for up to five minutes.
test_the_store_behaves_like_the_model = pytest.mark.timeout(600)(StoreAndModel.TestCase)
