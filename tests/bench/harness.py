"""What an evaluation costs beside its model: cold and warm starts of the real harnesses.

    python -m tests.bench.harness [HARNESS]... [--rounds N] [--evaluations N]

Each harness gets jobs of one document for a model that answers at once, one after another, in turns
by a server that starts it cold and one that starts it warm.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp

from tests.bench.harness_jobs import JOBS, HarnessJob
from tests.bench.sides import running_program
from tests.real_harness import interpreter, is_installed, offline_environment
from tests.support import Json, ServerProcess, until

MAX_LOAD_SECONDS = 300.0
COLD_SHARE = 10
"""One in so many of the evaluations one after another is measured where each starts cold."""
ORIGINAL = Path(__file__).with_name("original_evaluations.py")
ORIGINALS_HARNESS = "lmms-eval"
ORIGINAL_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Parts:
    """The seconds of one evaluation: from the request to its end, and what they consist of."""

    total: float
    claim: float
    """From the request to the claim of the job."""
    start: float
    """From the claim until the runner has started."""
    harness: float
    """From there until the harness has ended and its runner has recorded that."""
    judging: float
    """From there until a client knows the outcome."""

    @classmethod
    def median(cls, all_parts: Sequence["Parts"]) -> "Parts":
        """Return the medians of several."""
        return cls(
            *(statistics.median(getattr(each, part.name) for each in all_parts)
              for part in fields(cls))
        )  # fmt: skip


@dataclass(frozen=True)
class Compared:
    """The medians of one harness, and the seconds of a series of evaluations one after another."""

    harness: str
    cold: Parts
    warm: Parts
    cold_row: float
    warm_row: float
    evaluations: int
    memory: Mapping[str, int]
    ratio: float
    """Cold divided by warm, the median of the rounds."""
    original_row: float | None
    """The seconds of the series with lmms-eval's own server; None for other harnesses."""


async def measure(harness: str, folder: Path, rounds: int, evaluations: int) -> Compared:
    """Measure one harness."""
    job = JOBS[harness]
    async with (
        _serving(harness, job, folder / "cold", "off") as cold,
        _serving(harness, job, folder / "warm", "preload") as warm,
    ):
        for server in (cold, warm):
            await _evaluate(server, job)
        memory = await _wait_for_parent(warm)
        pairs = [(await _evaluate(cold, job), await _evaluate(warm, job)) for _ in range(rounds)]
        few = max(1, evaluations // COLD_SHARE)
        cold_row = await _in_a_row(few, lambda: _evaluate(cold, job)) * evaluations / few
        warm_row = await _in_a_row(evaluations, lambda: _evaluate(warm, job))
        original_row = None
        if harness == ORIGINALS_HARNESS:
            original_row = await _originals_row(job, folder, few) * evaluations / few
        return Compared(
            harness,
            Parts.median([each for each, _ in pairs]),
            Parts.median([each for _, each in pairs]),
            cold_row,
            warm_row,
            evaluations,
            memory,
            statistics.median(slow.total / fast.total for slow, fast in pairs),
            original_row,
        )


@asynccontextmanager
async def _serving(
    harness: str, job: HarnessJob, folder: Path, warm: str
) -> AsyncIterator[ServerProcess]:
    folder.mkdir(parents=True)
    async with ServerProcess(
        folder / "data",
        *("--engine-python", str(interpreter(harness)), "--default-engine", job.engine),
        *("--include-path", str(job.make_tasks(folder)), "--warm", warm),
        environment=offline_environment(folder / "hub"),
    ) as server:
        yield server


async def _evaluate(server: ServerProcess, job: HarnessJob) -> Parts:
    began = time.time()
    body = await server.api.call("POST", "/evaluate?validate=false", json=dict(job.request))
    found: Json = {"status": "queued"}
    while found["status"] in ("queued", "running"):
        found = await server.api.call("GET", f"/jobs/{body['job_id']}?wait=60")
    ended = time.time()
    assert found["status"] == "completed", (found["error"], server.log.read_text())
    sql = "SELECT at FROM job_events WHERE job_id = ? AND event = 'claimed'"
    claimed = _seconds(server.query(sql, found["job_id"])[0])
    record = json.loads((Path(found["run_dir"]) / "exit.json").read_text())
    started, stopped = _seconds(record["started_at"]), _seconds(record["ended_at"])
    return Parts(
        ended - began, claimed - began, started - claimed, stopped - started, ended - stopped
    )


async def _in_a_row(count: int, evaluate: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    for _ in range(count):
        await evaluate()
    return time.perf_counter() - began


async def _originals_row(job: HarnessJob, folder: Path, count: int) -> float:
    """Return the seconds of evaluations one after another by lmms-eval's own server."""
    place = folder / "original"
    place.mkdir()
    python, tasks = str(interpreter(ORIGINALS_HARNESS)), str(job.make_tasks(place))
    environment = offline_environment(place / "hub")
    log = place / "server.log"
    async with (
        running_program(python, ORIGINAL, log, tasks, environment=environment) as side,
        aiohttp.ClientSession(side.url) as session,
    ):
        return await _in_a_row(count, lambda: _evaluate_by_original(session, job, place))


async def _evaluate_by_original(
    session: aiohttp.ClientSession, job: HarnessJob, place: Path
) -> None:
    # It finds results only in a directory that is named after the model.
    needed = {"num_gpus": 1, "model_args": {"pretrained": "none"}}
    output = {"output_dir": tempfile.mkdtemp(dir=place)}
    async with session.post("/evaluate", json={**job.request, **needed, **output}) as answer:
        job_id = (await answer.json())["job_id"]
    found: Json = {"status": "queued"}
    while found["status"] in ("queued", "running"):
        # It cannot be waited for.
        await asyncio.sleep(ORIGINAL_POLL_SECONDS)
        async with session.get(f"/jobs/{job_id}") as answer:
            found = await answer.json()
    assert found["status"] == "completed", found


async def _wait_for_parent(server: ServerProcess) -> Mapping[str, int]:
    """Wait until a warm parent is ready, and return its memory in bytes by kind."""

    async def ready() -> Mapping[str, int]:
        lines = (await server.api.text("/metrics")).splitlines()
        if not any("evalserver_warm_parents{" in line and "ready" in line for line in lines):
            return {}
        rows = [line for line in lines if line.startswith("evalserver_warm_parents_memory_bytes{")]
        return {row.split('"')[1]: int(float(row.split()[-1])) for row in rows}

    found: Mapping[str, int] = await until(ready, MAX_LOAD_SECONDS)
    return found


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def table(found: Sequence[Compared]) -> str:
    """Return the figures as a table of Markdown."""
    lines = [
        "| harness | start | POST to completed | claim | start of the runner | harness | judging"
        " | in a row |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for each in found:
        rows = (("cold", each.cold, each.cold_row), ("warm", each.warm, each.warm_row))
        for name, parts, seconds in rows:
            cells = [f"{getattr(parts, part.name):.3g} s" for part in fields(Parts)]
            row = f"{each.evaluations}: {seconds:.3g} s"
            lines.append(f"| {' | '.join([each.harness, name, *cells, row])} |")
        if each.original_row is not None:
            lines.append(
                f"its own server: {each.evaluations} in a row {each.original_row:.3g} s,"
                f" {each.original_row / each.warm_row:.1f} times as long as started warm"
            )
        resident, shared = (each.memory[kind] / 1e6 for kind in ("resident", "shared"))
        lines.append(
            f"{each.harness}: {each.ratio:.1f} times as fast; the parent has {resident:.0f} MB,"
            f" {shared:.0f} MB of it shared"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure what the command line asks for, and print it."""
    parser = argparse.ArgumentParser(prog="bench --harness", description=__doc__)
    parser.add_argument("harnesses", nargs="*", metavar="HARNESS", help=f"of {', '.join(JOBS)}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--evaluations", type=int, default=50)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    given = parser.parse_args()
    names = given.harnesses or [each for each in JOBS if is_installed(each)]
    found: list[Compared] = []
    for name in names:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            sizes = (given.rounds, given.evaluations)
            found.append(asyncio.run(measure(name, Path(folder), *sizes)))
        print(table(found[-1:]), flush=True)
    if given.json is not None:
        report: list[dict[str, Any]] = [asdict(each) for each in found]
        given.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
