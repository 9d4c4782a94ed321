"""The queue of series whose newest step goes first, compared with lists that are sorted."""

from collections import defaultdict

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from evalserver.core.job import Demand, QueuedJob, SeriesStep
from evalserver.scheduling.queue_index import QueueIndex
from evalserver.scheduling.slots import Lane


def queued(
    job_id: str, place: int, step: int | None = None, series: str = "run", num_gpus: int = 0
) -> QueuedJob:
    """Return a job of a series, or of none."""
    newest_first = None if step is None else SeriesStep(series, step)
    return QueuedJob(job_id, 0, place, "alice", Demand(num_gpus), newest_first=newest_first)


def queue_of(*jobs: QueuedJob) -> QueueIndex:
    """Return a queue with these jobs."""
    queue = QueueIndex()
    for job in jobs:
        queue.add(job)
    return queue


class QueueAndLists(RuleBasedStateMachine):
    """Jobs of three series and of none come, start and are cancelled."""

    def __init__(self) -> None:
        super().__init__()
        self.index = QueueIndex()
        self.jobs: dict[str, QueuedJob] = {}
        self.submitted = 0

    @rule(series=st.sampled_from("abc"), step=st.one_of(st.none(), st.integers(0, 9)))
    def submit(self, series: str, step: int | None) -> None:
        """Submit a job; a step may come twice, or after a later one."""
        self.submitted += 1
        job = queued(f"job-{self.submitted:03}", self.submitted, step, series)
        self.jobs[job.job_id] = job
        self.index.add(job)

    @rule(number=st.integers(0, 30))
    def start(self, number: int) -> None:
        """Start a job, mostly not the first one, as those before it may be blocked."""
        if number >= len(self.jobs):
            return
        at_places = self.at_places()
        place_of = {job_id: place for place, job_id in at_places.items()}
        job_id = [*at_places.values()][number]
        other_id = place_of[job_id]
        job, other = self.jobs.pop(job_id), self.jobs.get(other_id)
        if other is not None:
            self.jobs[other_id] = other._replace(place=job.place)
            self.index.exchange_places(job_id, other_id)
        self.index.remove(job_id)

    @rule(number=st.integers(0, 30))
    def cancel(self, number: int) -> None:
        """Cancel a job: its own place goes with it."""
        if number < len(self.jobs):
            job_id = sorted(self.jobs)[number]
            del self.jobs[job_id]
            self.index.remove(job_id)

    @invariant()
    def has_the_same_order(self) -> None:
        """In the whole queue and in its lane."""
        expected = [*self.at_places().values()]
        assert list(self.index) == self.index.job_ids() == expected
        assert [job.job_id for job in self.index.in_lane(Lane.ALL)] == expected
        assert [self.index.position(job_id) for job_id in expected] == [*range(len(expected))]
        in_lane = [self.index.position_in_lane(job_id) for job_id in expected]
        assert in_lane == [*range(len(expected))]

    def at_places(self) -> dict[str, str]:
        """Who stands at whose place, in the order of the queue."""
        places = sorted(self.jobs.values(), key=lambda job: job.place)
        newest: dict[str, list[str]] = defaultdict(list)
        for job in sorted(
            places, key=lambda job: -job.newest_first.step if job.newest_first else 0
        ):
            if job.newest_first is not None:
                newest[job.newest_first.series].append(job.job_id)
        return {
            job.job_id: newest[job.newest_first.series].pop(0) if job.newest_first else job.job_id
            for job in places
        }


test_the_index_agrees_with_lists_that_are_sorted = QueueAndLists.TestCase


def test_the_newest_stands_at_the_first_place_of_its_series() -> None:
    queue = queue_of(queued("other", 1), queued("100", 2, 100), queued("200", 3, 200))

    assert queue.job_ids() == ["other", "200", "100"]


def test_jobs_with_other_numbers_of_gpus_do_not_exchange_places() -> None:
    queue = queue_of(queued("100", 1, 100, num_gpus=1), queued("200", 2, 200, num_gpus=2))

    assert queue.job_ids() == ["100", "200"]


def test_those_ahead_are_those_at_the_places_before() -> None:
    queue = queue_of(queued("100", 1, 100), queued("other", 2), queued("200", 3, 200))
    jobs = {job.job_id: job for job in queue.in_lane(Lane.ALL)}

    assert [job.job_id for job in queue.ahead(jobs["100"])] == ["200", "other"]
    assert sum(group.size for group in queue.groups_ahead(jobs["100"])) == 2
