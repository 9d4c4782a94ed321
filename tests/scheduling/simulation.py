"""``python -m tests.scheduling.simulation``: 1 000 jobs on 8 GPUs, with and without backfill.

The decisions are those of ``scheduling/order.py``; time, arrivals and durations are synthetic.
"""

import random
from dataclasses import dataclass, field, replace
from functools import partial
from heapq import heappop, heappush
from statistics import mean

from evalserver.core.job import Demand, QueuedJob
from evalserver.scheduling.order import (
    Head,
    Start,
    backfill,
    choose,
    ends_by,
    find_reservation,
    is_skipped,
    with_overtaken,
)
from evalserver.scheduling.queue_index import QueueIndex
from evalserver.scheduling.slots import Inventory, Lane, Limits, RunningJob

GPUS = tuple(map(str, range(8)))
JOBS = 1000
END_SECONDS = 70.0
"""How long a job may take to be ended by its time limit, and to be concluded."""
SUBMITTERS = ("alice", "bob", "carol")
LOAD = 0.95
"""GPU-seconds that arrive, as a fraction of those that there are."""


@dataclass(frozen=True)
class Arrival:
    """A job that arrives at a time, and how long it will be prepared, run and concluded."""

    at: float
    preparation_s: float
    seconds: float
    conclusion_s: float
    job: QueuedJob


@dataclass
class Outcome:
    """What happened: waits in seconds, the share of GPU time in use, and broken reservations."""

    waits: dict[str, float] = field(default_factory=dict)
    utilization: float = 0.0
    late: list[str] = field(default_factory=list)
    """Jobs that started after the start that was reserved for them."""
    reserved: int = 0
    filled: int = 0
    """Jobs that started by backfill."""
    postponed: int = 0
    """Times that such a job was put back, as its preparation took too long."""

    def __str__(self) -> str:
        return (
            f"utilization {self.utilization:.3f}, mean wait {mean(self.waits.values()):.0f} s,"
            f" reservations {self.reserved}, backfilled {self.filled},"
            f" of these put back {self.postponed}, late {len(self.late)}"
        )


def make_jobs(seed: int, jobs: int = JOBS) -> list[Arrival]:
    """Return seeded jobs: log-normal durations, time limits of 1.1 to 3 times these; one in ten has
    a large checkpoint, whose preparation takes up to half an hour."""
    rng = random.Random(seed)
    made, now = [], 0.0
    sizes = [rng.choice([1, 1, 1, 1, 2, 2, 4, 8]) for _ in range(jobs)]
    durations = [min(rng.lognormvariate(6.5, 1.0), 20_000.0) for _ in range(jobs)]
    work = mean(size * seconds for size, seconds in zip(sizes, durations, strict=True))
    for seq, (size, seconds) in enumerate(zip(sizes, durations, strict=True)):
        now += rng.expovariate(LOAD * len(GPUS) / work)
        demand = Demand(size, seconds * rng.uniform(1.1, 3.0))
        job = QueuedJob(f"job-{seq}", 0, seq, rng.choice(SUBMITTERS), demand)
        preparation_s = rng.uniform(0, 1800) if rng.random() < 0.1 else rng.uniform(0, 5)
        made.append(Arrival(now, preparation_s, seconds, rng.uniform(0, END_SECONDS), job))
    return made


class Simulation:
    """Runs jobs in synthetic time."""

    def __init__(
        self,
        arrivals: list[Arrival],
        *,
        fills_gaps: bool,
        max_running_per_token: int | None = None,
    ) -> None:
        self._arrivals = {arrival.job.job_id: arrival for arrival in arrivals}
        self._fills_gaps = fills_gaps
        self._limits = Limits(GPUS, max_running_per_token=max_running_per_token)
        self._queue = QueueIndex(lambda _: Lane.WITH_GPU)
        self._running: dict[str, RunningJob] = {}
        self._steps: list[tuple[float, int, str, str]] = []
        """What happens when: time, number, what, and to which job."""
        self._reserved: dict[str, float] = {}
        self._slow: set[str] = set()
        self._planned = 0
        self.outcome = Outcome()

    def run(self) -> Outcome:
        """Run all jobs to their ends."""
        for arrival in self._arrivals.values():
            self._plan(arrival.at, "arrives", arrival.job.job_id)
        busy, now = 0.0, 0.0
        while self._steps:
            at, _, what, job_id = heappop(self._steps)
            busy += (at - now) * sum(len(each.gpus or ()) for each in self._running.values())
            now = at
            if what == "arrives":
                self._queue.add(self._arrivals[job_id].job)
            elif what == "is prepared":
                self._begin(job_id, now)
            elif what == "is too late":
                self._put_back(job_id)
            else:
                del self._running[job_id]
            self._start_jobs(now)
        self.outcome.utilization = busy / (now * len(GPUS))
        return self.outcome

    def _plan(self, at: float, what: str, job_id: str) -> None:
        self._planned += 1
        heappush(self._steps, (at, self._planned, what, job_id))

    def _begin(self, job_id: str, now: float) -> None:
        """Start the harness of a claimed job."""
        arrival = self._arrivals[job_id]
        end = ends_by(now, arrival.job.demand.timeout_s, END_SECONDS)
        self._running[job_id] = replace(self._running[job_id], ends_by=end)
        self._plan(now + arrival.seconds + arrival.conclusion_s, "has ended", job_id)

    def _put_back(self, job_id: str) -> None:
        """Queue a claimed job again, whose harness has not started in time."""
        del self._running[job_id]
        self._queue.add(self._arrivals[job_id].job)
        self._slow.add(job_id)
        self.outcome.postponed += 1

    def _start_jobs(self, now: float) -> None:
        while len(self._queue):
            inventory = Inventory(self._limits, tuple(self._running.values()))
            jobs = self._queue.in_lane(Lane.WITH_GPU, partial(is_skipped, inventory=inventory))
            found = choose(jobs, inventory, lambda _: True)
            if isinstance(found, Head):
                self._note_reservation(found.job, inventory, now)
                found = self._fill(found, inventory, now) if self._fills_gaps else None
            elif found is not None:
                self._void_reservations_behind(found.job)
            if found is None:
                return
            self._start(with_overtaken(found, self._queue, inventory), now)

    def _note_reservation(self, head: QueuedJob, inventory: Inventory, now: float) -> None:
        self._void_reservations_behind(head)
        reserved = find_reservation(head, inventory, now)
        if reserved is not None and head.job_id not in self._reserved:
            self._reserved[head.job_id] = reserved.at
            self.outcome.reserved += 1

    def _void_reservations_behind(self, job: QueuedJob) -> None:
        """A job that its submitter's limit kept back goes first again: those behind it wait."""
        for job_id in [*self._reserved]:
            if self._arrivals[job_id].job.place > job.place:
                del self._reserved[job_id]

    def _fill(self, head: Head, inventory: Inventory, now: float) -> Start | None:
        placed = head.candidates(inventory)
        candidates = [job for job in placed if job.job_id not in self._slow]
        expected = {job.job_id: self._arrivals[job.job_id].seconds for job in candidates}
        start = backfill(head.job, candidates, inventory, now, END_SECONDS, expected)
        self.outcome.filled += start is not None
        return start

    def _start(self, start: Start, now: float) -> None:
        job, slot = start.job, start.slot
        arrival = self._arrivals[job.job_id]
        self._queue.remove(job.job_id)
        gpus, held = (
            slot.gpus or (),
            [gpu for each in self._running.values() for gpu in each.gpus or ()],
        )
        assert not {*gpus} & {*held}, "a GPU is held twice"
        by = slot.start_by
        end = None if by is None else ends_by(by, job.demand.timeout_s, END_SECONDS)
        self._running[job.job_id] = RunningJob(
            job.job_id, job.submitted_by, job.demand.num_gpus, slot.gpus, end
        )
        prepared_at = now + arrival.preparation_s
        if by is not None and prepared_at > by:
            self._plan(by, "is too late", job.job_id)
        else:
            self._plan(prepared_at, "is prepared", job.job_id)
        self.outcome.waits[job.job_id] = now - arrival.at
        if now > self._reserved.pop(job.job_id, now):
            self.outcome.late.append(job.job_id)


def main() -> None:
    """Print the outcomes for three seeds."""
    for seed in (1, 2, 3):
        for fills_gaps in (False, True):
            outcome = Simulation(make_jobs(seed), fills_gaps=fills_gaps).run()
            print(f"seed {seed}, {'backfill' if fills_gaps else 'strict  '}: {outcome}")


if __name__ == "__main__":
    main()
