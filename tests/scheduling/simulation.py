"""``python -m tests.scheduling.simulation``: 1 000 jobs on 8 GPUs, with and without backfill.

The decisions are those of ``scheduling/order.py``; time, arrivals and durations are synthetic.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from statistics import mean

from evalserver.core.job import Demand, QueuedJob
from evalserver.scheduling.order import Head, Start, backfill, choose, ends_by, reserve
from evalserver.scheduling.queue_index import QueueIndex
from evalserver.scheduling.slots import Inventory, Lane, Limits, RunningJob

GPUS = tuple(map(str, range(8)))
JOBS = 1000
GRACE_SECONDS = 10.0
LOAD = 0.95
"""GPU-seconds that arrive, as a fraction of those that there are."""


@dataclass(frozen=True)
class Arrival:
    """A job that arrives at a time, and how long it will run."""

    at: float
    seconds: float
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

    def __str__(self) -> str:
        return (
            f"utilization {self.utilization:.3f}, mean wait {mean(self.waits.values()):.0f} s,"
            f" reservations {self.reserved}, backfilled {self.filled}, late {len(self.late)}"
        )


def make_jobs(seed: int, jobs: int = JOBS) -> list[Arrival]:
    """Return seeded jobs: log-normal durations, time limits of 1.1 to 3 times these."""
    rng = random.Random(seed)
    made, now = [], 0.0
    sizes = [rng.choice([1, 1, 1, 1, 2, 2, 4, 8]) for _ in range(jobs)]
    durations = [min(rng.lognormvariate(6.5, 1.0), 20_000.0) for _ in range(jobs)]
    work = mean(size * seconds for size, seconds in zip(sizes, durations, strict=True))
    for seq, (size, seconds) in enumerate(zip(sizes, durations, strict=True)):
        now += rng.expovariate(LOAD * len(GPUS) / work)
        demand = Demand(size, seconds * rng.uniform(1.1, 3.0))
        made.append(Arrival(now, seconds, QueuedJob(f"job-{seq}", 0, seq, "alice", demand)))
    return made


class Simulation:
    """Runs jobs in synthetic time."""

    def __init__(self, arrivals: list[Arrival], *, fills_gaps: bool) -> None:
        self._arrivals = {arrival.job.job_id: arrival for arrival in arrivals}
        self._fills_gaps = fills_gaps
        self._queue = QueueIndex(lambda _: Lane.WITH_GPU)
        self._running: dict[str, RunningJob] = {}
        self._ends: list[tuple[float, str]] = []
        self._reserved: dict[str, float] = {}
        self.outcome = Outcome()

    def run(self) -> Outcome:
        """Run all jobs to their ends."""
        arrivals = sorted(self._arrivals.values(), key=lambda arrival: arrival.at)
        busy, now = 0.0, 0.0
        for at, job in self._moments(arrivals):
            busy += (at - now) * sum(len(each.gpus or ()) for each in self._running.values())
            now = at
            if job is None:
                self._running.pop(heappop(self._ends)[1])
            else:
                self._queue.add(job)
            self._start_jobs(now)
        self.outcome.utilization = busy / (now * len(GPUS))
        return self.outcome

    def _moments(self, arrivals: list[Arrival]) -> Iterator[tuple[float, QueuedJob | None]]:
        """Yield the arrivals, and the ends (None) of what runs at that time, in order."""
        for arrival in arrivals:
            while self._ends and self._ends[0][0] <= arrival.at:
                yield self._ends[0][0], None
            yield arrival.at, arrival.job
        while self._ends:
            yield self._ends[0][0], None

    def _start_jobs(self, now: float) -> None:
        while len(self._queue):
            inventory = Inventory(Limits(GPUS), tuple(self._running.values()))
            found = choose(self._queue.in_lane(Lane.WITH_GPU), inventory, lambda _: True)
            if isinstance(found, Head):
                self._note_reservation(found.job, inventory, now)
                found = self._fill(found, inventory, now) if self._fills_gaps else None
            if found is None:
                return
            self._start(found, now)

    def _note_reservation(self, head: QueuedJob, inventory: Inventory, now: float) -> None:
        reserved = reserve(head, inventory, now)
        if reserved is not None and head.job_id not in self._reserved:
            self._reserved[head.job_id] = reserved.at
            self.outcome.reserved += 1

    def _fill(self, head: Head, inventory: Inventory, now: float) -> Start | None:
        candidates = head.candidates(inventory)
        expected = {job.job_id: self._arrivals[job.job_id].seconds for job in candidates}
        start = backfill(head.job, candidates, inventory, now, GRACE_SECONDS, expected)
        self.outcome.filled += start is not None
        return start

    def _start(self, start: Start, now: float) -> None:
        job = start.job
        arrival = self._arrivals[job.job_id]
        self._queue.remove(job.job_id)
        end = ends_by(now, job.demand.timeout_s, GRACE_SECONDS)
        self._running[job.job_id] = RunningJob(
            job.job_id, job.submitted_by, job.demand.num_gpus, start.slot.gpus, end
        )
        heappush(self._ends, (now + arrival.seconds, job.job_id))
        self.outcome.waits[job.job_id] = now - arrival.at
        if now > self._reserved.get(job.job_id, now):
            self.outcome.late.append(job.job_id)


def main() -> None:
    """Print the outcomes for three seeds."""
    for seed in (1, 2, 3):
        for fills_gaps in (False, True):
            outcome = Simulation(make_jobs(seed), fills_gaps=fills_gaps).run()
            print(f"seed {seed}, {'backfill' if fills_gaps else 'strict  '}: {outcome}")


if __name__ == "__main__":
    main()
