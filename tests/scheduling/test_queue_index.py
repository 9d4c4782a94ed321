"""The queue's order in memory, compared with a list that is sorted after every operation."""

from collections.abc import Callable

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from evalserver.core.job import Demand, QueuedJob
from evalserver.scheduling.queue_index import QueueIndex
from evalserver.scheduling.slots import Lane

JOBS = st.integers(0, 15)
LANES = {0: Lane.WITHOUT_GPU, 1: Lane.WITH_GPU}


def queued(seq: int, priority: int = 0) -> QueuedJob:
    """Return a job; its number says its lane, submitter and whether it waits for a checkpoint."""
    demand = Demand(seq % 2, None, waits_for_checkpoint=seq % 5 == 0)
    return QueuedJob(f"job-{seq}", priority, seq, f"user-{seq % 3}", demand)


class QueueAndList(RuleBasedStateMachine):
    """Applies the same operations to the index and to a list of sort keys."""

    def __init__(self) -> None:
        super().__init__()
        self.index = QueueIndex(lambda job: LANES[job.demand.num_gpus])
        self.model: list[tuple[int, int, str]] = []

    @rule(seq=JOBS, priority=st.integers(-2, 2))
    def add(self, seq: int, priority: int) -> None:
        """Add a job, which may already be queued with another priority."""
        job_id = f"job-{seq}"
        others = [key for key in self.model if key[2] != job_id]
        self.model = sorted([*others, (-priority, seq, job_id)])
        self.index.add(queued(seq, priority))

    @rule(seq=JOBS)
    def remove(self, seq: int) -> None:
        """Remove a job, which may not be queued."""
        job_id = f"job-{seq}"
        self.model = [key for key in self.model if key[2] != job_id]
        self.index.remove(job_id)

    @invariant()
    def has_the_same_order(self) -> None:
        """The index lists the jobs as the sorted list does."""
        assert list(self.index) == self.jobs()
        assert len(self.index) == len(self.model)

    @invariant()
    def has_the_same_first(self) -> None:
        """The next job is the first of the list."""
        assert next(iter(self.index), None) == next(iter(self.jobs()), None)

    @invariant()
    def has_the_same_positions(self) -> None:
        """A position is the number of jobs before; it is None for a job that is not queued."""
        positions = {job_id: position for position, job_id in enumerate(self.jobs())}
        for job_id in (f"job-{seq}" for seq in range(16)):
            assert self.index.position(job_id) == positions.get(job_id)

    @invariant()
    def has_the_same_lanes(self) -> None:
        """A lane has its jobs in the order of the list, and positions among them."""
        for num_gpus, lane in LANES.items():
            jobs = [job_id for _, seq, job_id in self.model if seq % 2 == num_gpus]
            assert [job.job_id for job in self.index.in_lane(lane)] == jobs
            assert [self.index.position_in_lane(job_id) for job_id in jobs] == [*range(len(jobs))]
            assert self.index.is_empty(lane) == (not jobs)

    @invariant()
    def skips_groups(self) -> None:
        """Those of a submitter that is skipped are left out."""
        for num_gpus, lane in LANES.items():
            seqs = [seq for _, seq, _ in self.model if seq % 2 == num_gpus and seq % 3 != 1]
            found = self.index.in_lane(lane, lambda job: job.submitted_by == "user-1")
            assert [job.place for job in found] == seqs

    @invariant()
    def has_the_same_jobs_ahead(self) -> None:
        """Ahead of a job are those of its lane before it that wait for no checkpoint."""
        for priority, seq, job_id in self.model:
            expected = [
                other[2]
                for other in self.model
                if other < (priority, seq, job_id) and other[1] % 2 == seq % 2 and other[1] % 5 != 0
            ]
            job = queued(seq, -priority)
            assert [each.job_id for each in self.index.ahead(job)] == expected
            assert sum(group.size for group in self.index.groups_ahead(job)) == len(expected)

    def jobs(self) -> list[str]:
        """The ids in the order of the model."""
        return [job_id for _, _, job_id in self.model]


test_the_index_agrees_with_a_sorted_list = QueueAndList.TestCase


def test_a_higher_priority_is_before_an_earlier_submission() -> None:
    index = QueueIndex()
    index.add(QueuedJob("early", priority=0, place=1))
    index.add(QueuedJob("important", priority=1, place=2))

    assert list(index) == ["important", "early"]


def test_within_a_priority_the_earlier_submission_is_first() -> None:
    index = QueueIndex()
    index.add(QueuedJob("a-later-one", priority=0, place=10))
    index.add(QueuedJob("b-earlier-one", priority=0, place=9))

    assert next(iter(index), None) == "b-earlier-one"


def test_an_interrupted_job_gets_its_position_back() -> None:
    index = QueueIndex()
    for seq in range(3):
        index.add(QueuedJob(f"job-{seq}", priority=0, place=seq))
    index.remove("job-1")

    index.add(QueuedJob("job-1", priority=0, place=1))

    assert index.position("job-1") == 1


def test_an_empty_queue_has_no_first_job() -> None:
    assert next(iter(QueueIndex()), None) is None


def test_an_iteration_is_not_affected_by_jobs_added_or_removed_before_it() -> None:
    index = QueueIndex()
    for seq in range(4):
        index.add(QueuedJob(f"job-{seq}", priority=0, place=seq))
    iterator = iter(index)
    taken = [next(iterator), next(iterator)]

    index.remove("job-0")
    index.remove("job-1")
    index.add(QueuedJob("urgent", priority=1, place=4))

    assert [*taken, *iterator] == ["job-0", "job-1", "job-2", "job-3"]


def test_what_waits_on_a_cluster_is_before_what_was_not_handed_over() -> None:
    queue = QueueIndex()
    for number, job_id in enumerate("abc"):
        queue.add(QueuedJob(job_id, 0, number))

    queue.hand_over("c")
    queue.hand_over("a")

    assert list(queue) == ["c", "a", "b"]
    assert [queue.position(job_id) for job_id in "cab"] == [0, 1, 2]


def test_a_job_that_started_on_its_cluster_is_not_queued_any_more() -> None:
    queue = QueueIndex()
    queue.hand_over("a")

    queue.remove("a")

    assert (len(queue), queue.position("a"), "a" in queue) == (0, None, False)


def test_jobs_of_clusters_are_in_a_lane_of_their_own() -> None:
    queue = QueueIndex(lambda job: Lane.ALL if job.executor == "local" else job.executor)
    queue.add(QueuedJob("here", 0, 1))
    queue.add(QueuedJob("there", 0, 2, executor="slurm"))

    assert [job.job_id for job in queue.in_lane("slurm")] == ["there"]
    assert [job.job_id for job in queue.in_lane(Lane.ALL)] == ["here"]
    assert queue.position_in_lane("there") == 0


def test_the_first_jobs_in_order_are_named() -> None:
    queue = QueueIndex()
    for number, job_id in enumerate("abc"):
        queue.add(QueuedJob(job_id, 0, number))
    queue.hand_over("c")

    assert [queue.job_ids(most) for most in (None, 2, 1, 0)] == [
        ["c", "a", "b"],
        ["c", "a"],
        ["c"],
        [],
    ]


@pytest.mark.parametrize(
    "change",
    [
        lambda queue: queue.add(QueuedJob("b", 0, 2)),
        lambda queue: queue.add(QueuedJob("a", 5, 1)),
        lambda queue: queue.hand_over("a"),
        lambda queue: queue.remove("a"),
    ],
)
def test_the_version_of_the_queue_grows_with_each_change(
    change: Callable[[QueueIndex], None],
) -> None:
    queue = QueueIndex()
    queue.add(QueuedJob("a", 0, 1))
    before = queue.version

    change(queue)

    assert queue.version > before
