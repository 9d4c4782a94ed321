"""Several evaluations at once: the time until all have ended, and the gap between two."""

import statistics
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.bench.figures import Figure, compared
from tests.bench.plan import Plan
from tests.bench.sides import SHORT_HARNESS
from tests.bench.waits import evaluation_times, when_known
from tests.support import ServerProcess

SLOTS = 8


async def running_several(plan: Plan) -> list[Figure]:
    """Measure the makespan of evaluations on 8 slots beside the ideal, and beside one slot.

    One slot runs an eighth of them, and its time is multiplied.
    """
    one, several = plan.slot_evaluations // SLOTS, plan.slot_evaluations
    folder = plan.folder / "slots"
    folder.mkdir()
    alone = SLOTS * _makespan(await _run(folder / "one", 1, one, plan.slot_seconds))
    times = await _run(folder / "several", SLOTS, several, plan.slot_seconds)
    ideal = plan.slot_seconds * several / SLOTS
    name = f"{several} evaluations of {plan.slot_seconds:g} s on {SLOTS} slots"
    return [
        compared(f"{name}, all ended", "s", [_makespan(times)]),
        compared(f"{name}, over the ideal", "x", [_makespan(times) / ideal]),
        compared(f"{name}, as fast as one after another", "x", [alone / _makespan(times)]),
        compared(f"gap between evaluations with {SLOTS} slots", "ms", [_gap(times)]),
    ]


async def _run(folder: Path, slots: int, jobs: int, seconds: float) -> list[tuple[float, float]]:
    """Run jobs on slots; return start and end of each evaluation."""
    folder.mkdir()
    journal = folder / "journal"
    async with _server(folder, slots) as server:
        arguments = {"journal": str(journal), "seconds": seconds}
        ids = [await server.api.submit(model_args=arguments) for _ in range(jobs)]
        for job_id in ids:
            await when_known(server.api, job_id)
    return sorted(evaluation_times(journal))


@asynccontextmanager
async def _server(folder: Path, slots: int) -> AsyncIterator[ServerProcess]:
    gpus = ",".join(map(str, range(slots)))
    options = ("--engine-python", str(SHORT_HARNESS), "--gpus", gpus)
    async with ServerProcess(folder / "data", *options) as server:
        yield server


def _makespan(times: list[tuple[float, float]]) -> float:
    return max(end for _, end in times) - times[0][0]


def _gap(times: list[tuple[float, float]]) -> float:
    """Return the median time in ms from an end to the start that it made possible."""
    starts, ends = [begun for begun, _ in times], sorted(end for _, end in times)
    return 1000 * statistics.median(
        begun - end for begun, end in zip(starts[SLOTS:], ends, strict=False)
    )
