"""The store, driven through whatever may happen to it, against a model in plain Python."""

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
from tests.store.model import LEAVE_THE_STATE, STARTS_FROM, Model, Operation
from tests.store.operations import (
    ANY_OPERATION,
    JOBS,
    LEGAL,
    OPERATIONS,
    PLENTY,
    RECORDS,
    REQUESTS,
    SEVERAL,
    Aimed,
    at_once,
    audit_log,
    closing,
    killed,
    leaving,
    read_all,
)
from tests.store.test_audit_log import broken_links
from tests.store.test_migrate import contents, rows

UNKNOWN = "never-was"


class StoreAndModel(RuleBasedStateMachine):
    """Does the same to a store and to the model, and compares all that can be seen of both."""

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
        """Open the store as a server does that starts: read the queue, and follow it."""
        self.store = await Store.open(self.folder, lambda: self.now)
        self.heard: list[CommittedEvent] = []
        self.known_at_start = len(audit_log(self.folder))
        self.index = QueueIndex()
        self.store.subscribe(self.listen)
        for job_id, priority, seq in await self.store.queries.queued():
            self.index.add(job_id, priority, seq)

    def listen(self, event: CommittedEvent) -> None:
        """What the scheduler does when it is told of an event."""
        self.heard.append(event)
        if event.after is Status.QUEUED:
            self.index.add(event.job_id, event.priority, event.seq)
        elif event.before is Status.QUEUED:
            self.index.remove(event.job_id)

    def teardown(self) -> None:
        """Close the store, and look at its file as a whole."""
        self.run(self.store.close())
        self.runner.close()
        with snapshot(self.folder / DATABASE_NAME) as database:
            assert check_database(database).problem is None
        self.temporary.cleanup()

    def aim(self, aimed: Iterable[Aimed]) -> list[Operation]:
        """The deeds as somebody hands them in who has just read the jobs."""
        return [operation.on(self.model.record(job_id)) for job_id, operation in aimed]

    def _first_or(self, job_id: str) -> str:
        """The first of the queue instead of a queued job: no other one may be claimed."""
        return self.model.queue()[0][0] if self.model.state(job_id) == "queued" else job_id

    def do(self, *deeds: Operation) -> list[Any]:
        """Do it to both, and compare their answers."""
        answers = self.run(at_once(self.store, deeds))
        assert answers == [self.model.answer(operation) for operation in deeds]
        return answers

    def settle(self, possible: Iterable[Model]) -> None:
        """Go on with the model that the file agrees with."""
        log = audit_log(self.folder)
        fitting = [model for model in possible if model.log == log]
        assert fitting, f"something was done by half, or lost: {log}"
        self.model = fitting[0]

    @initialize(target=JOBS, requests=st.lists(REQUESTS, min_size=1, max_size=4))
    def submit_the_first(self, requests: list[EvaluateRequest]) -> MultipleResults[str] | str:
        """The other rules need a job to begin with."""
        return self.submit(requests, [])

    @rule(target=JOBS, requests=st.lists(REQUESTS, min_size=1, max_size=3), others=SEVERAL)
    def submit(
        self, requests: list[EvaluateRequest], others: list[Aimed]
    ) -> MultipleResults[str] | str:
        """Submit jobs, and do something else at the same moment."""
        new = [
            NewJob(f"job-{number}", "lmms_eval", request, "alice")
            for number, request in enumerate(requests, start=self.model.submitted + 1)
        ]
        submissions = [Operation("submit", (job,)) for job in new]
        self.do(*submissions, *self.aim(others))
        return multiple(*(job.job_id for job in new))

    @rule(aimed=SEVERAL)
    def do_anything_at_once(self, aimed: list[Aimed]) -> None:
        """Do whatever there is to do, may it be legal or not, to whatever jobs."""
        self.do(*self.aim(aimed))

    @rule(job_id=JOBS, deeds=st.lists(ANY_OPERATION, min_size=2, max_size=5))
    def do_several_things_to_one_job(self, job_id: str, deeds: list[Operation]) -> None:
        """What the first changes decides what may be done after it."""
        self.do(*self.aim((job_id, operation) for operation in deeds))

    @rule(target=RECORDS, job_id=JOBS, legal=LEGAL, seconds=st.integers(-5000, 5000))
    def go_on(self, job_id: str, legal: dict[str, Operation], seconds: int) -> Job:
        """Do what is legal in the state that the job is in, by a clock that may be set back."""
        job_id = self._first_or(job_id)
        before = self.model.record(job_id)
        self.now += timedelta(seconds=seconds)
        self.model.now = timestamp(self.now)
        if state := self.model.state(job_id):
            assert self.do(legal[state].on(before)) != [IllegalTransition]
        return before

    @rule(several=st.lists(st.tuples(JOBS, LEGAL), min_size=2, max_size=5))
    def go_on_with_several_at_once(self, several: list[tuple[str, dict[str, Operation]]]) -> None:
        """What is legal when it is handed in may not be so any more when its turn comes."""
        states = [(job_id, self.model.state(job_id), legal) for job_id, legal in several]
        self.do(*self.aim((job_id, legal[state]) for job_id, state, legal in states if state))

    @rule(job_id=JOBS, some=LEGAL, others=LEGAL)
    def try_two_that_exclude_each_other(
        self, job_id: str, some: dict[str, Operation], others: dict[str, Operation]
    ) -> None:
        """Of two deeds that both lead out of the job's state, exactly one is done."""
        job_id = self._first_or(job_id)
        state = self.model.state(job_id)
        if state and {some[state].name, others[state].name} <= LEAVE_THE_STATE:
            answers = self.do(*self.aim([(job_id, some[state]), (job_id, others[state])]))
            assert [answer is IllegalTransition for answer in answers] == [False, True]

    @rule(job_id=JOBS | st.just(UNKNOWN), deeds=st.fixed_dictionaries(OPERATIONS))
    def try_all_that_is_illegal(self, job_id: str, deeds: dict[str, Operation]) -> None:
        """What may not start from the job's state is refused, and changes nothing."""
        before = contents(self.folder)
        state = self.model.state(job_id)
        illegal = [operation for name, operation in deeds.items() if state not in STARTS_FROM[name]]
        assert set(self.do(*self.aim((job_id, operation) for operation in illegal))) == {
            IllegalTransition
        }
        assert contents(self.folder) == before

    @rule(record=RECORDS, claim=OPERATIONS["claim"])
    def claim_by_an_old_record(self, record: Job, claim: Operation) -> None:
        """An attempt that began since is not begun once more."""
        self.do(claim.on(record))

    @rule(aimed=SEVERAL.filter(bool), passes=st.integers(0, 3))
    def do_and_have_the_first_caller_leave(self, aimed: list[Aimed], passes: int) -> None:
        """What somebody asked for who was cancelled while he waited is done or not, whole."""
        deeds = self.aim(aimed)
        answers = self.run(leaving(self.store, deeds, passes))
        done, undone = deepcopy(self.model), deepcopy(self.model)
        expected = [done.answer(operation) for operation in deeds]
        possible = []
        if answers == expected[len(expected) - len(answers) :]:
            possible.append(done)
        if answers == [undone.answer(operation) for operation in deeds[1:]]:
            possible.append(undone)
        self.settle(possible)

    @rule(aimed=SEVERAL)
    def restart(self, aimed: list[Aimed]) -> None:
        """Close the store, and open it again; what was handed in before is carried out."""
        deeds = self.aim(aimed)
        answers = self.run(closing(self.store, deeds))
        assert answers == [self.model.answer(operation) for operation in deeds]
        self.run(self.open())

    @rule(aimed=SEVERAL, statement=st.integers(1, 40))
    def kill(self, aimed: list[Aimed], statement: int) -> None:
        """What was answered is on disk; of the rest the first so many are, each of them whole."""
        deeds = self.aim(aimed)
        folder = self.folder
        self.folder = folder.with_name(f"{folder.name}+")
        answered = self.run(killed(self.store, deeds, folder, self.folder, statement))
        self.run(self.open())
        possible = list(self.model.after_each(deeds))
        self.settle(possible[-1:] if answered else possible)

    @invariant()
    def each_job_reads_as_in_the_model(self) -> None:
        """Every column; what is gone and what never was is told apart."""
        ids = [*self.model.jobs, *self.model.pruned, UNKNOWN]
        found = self.run(read_all(self.store, ids))
        missing = [*(JobPruned for _ in self.model.pruned), JobNotFound]
        assert found == [*self.model.jobs.values(), *missing]

    @invariant()
    def the_queue_has_the_same_order(self) -> None:
        """In the store, and in the index that follows it."""
        queue = self.model.queue()
        assert self.run(self.store.queries.queued()) == queue
        assert list(self.index) == [job_id for job_id, _, _ in queue]

    @invariant()
    def the_oldest_of_the_queue_is_the_first_submission(self) -> None:
        """Whatever its priority."""
        first = min(self.model.having("queued"), key=lambda job: job.seq, default=None)
        assert self.run(self.store.queries.oldest_queued()) == (first and first.created_at)

    @invariant()
    def the_jobs_are_counted(self) -> None:
        """By state, all ids, and those that run."""
        states = [job.status for job in self.model.jobs.values()]
        counts = {status: states.count(status) for status in Status}
        assert self.run(self.store.queries.count_by_status()) == counts
        assert self.run(self.store.queries.all_ids()) == set(self.model.jobs)
        running = self.run(self.store.queries.running())
        assert sorted(running, key=lambda job: job.seq) == self.model.having("running")

    @invariant()
    def the_jobs_are_listed(self) -> None:
        """By state, the newest submission first."""
        for status in Status:
            page = self.run(self.store.queries.page(JobFilter(frozenset({status})), PLENTY))
            assert page == Page(self.model.having(status)[::-1], None)

    @invariant()
    def the_numbers_are_those_of_the_last_completion(self) -> None:
        """Not of an attempt before a retry, nor of a job that is gone."""
        expected = {(job_id, *astuple(m)) for job_id, ms in self.model.metrics.items() for m in ms}
        assert set(rows(self.folder, "SELECT * FROM metrics")) == expected

    @invariant()
    def the_audit_log_is_the_list_of_events(self) -> None:
        """With no gap, and each link of the chain whole."""
        assert audit_log(self.folder) == self.model.log
        assert broken_links(self.folder) == []

    @invariant()
    def the_listener_was_told_every_event(self) -> None:
        """In the order of the log."""
        assert [astuple(event) for event in self.heard] == self.model.told[self.known_at_start :]


StoreAndModel.TestCase.settings = settings(max_examples=30, stateful_step_count=50)
# Seconds when all is well; what fails is made smaller for up to five minutes first.
test_the_store_does_what_the_model_does = pytest.mark.timeout(600)(StoreAndModel.TestCase)
