"""``python -m tests.bench``: measure, print a table, write JSON."""

import argparse
import asyncio
import json
import os
import platform
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from tests.bench import batches, cluster, long_queue, rates, slots, waits
from tests.bench.figures import Figure, summarized, table
from tests.bench.plan import Plan, Start, quick
from tests.bench.sides import elsewhere, original

MEASURES: Mapping[str, Callable[[Plan], Awaitable[list[Figure]]]] = {
    "submitting": rates.submitting,
    "batching": batches.batching,
    "reading": rates.reading,
    "dispatching": waits.dispatching,
    "running several": slots.running_several,
    "waiting": waits.waiting,
    "streaming": waits.streaming,
}
CLUSTER_MEASURES: Mapping[str, Callable[[Plan], Awaitable[list[Figure]]]] = {
    "cluster jobs": cluster.many_jobs,
    "cluster latencies": cluster.latencies,
    "cluster queue": long_queue.long_queue,
}
"""Measured only with ``--only``: the first two bring up a real Slurm, as root."""


def main() -> int:
    """Measure what the command line asks for."""
    given = _arguments()
    figures = summarized([_run(given) for _ in range(given.runs)])
    print(table(figures))
    if given.json is not None:
        given.json.write_text(json.dumps(_report(figures), indent=2) + "\n")
    return 0


def _run(given: argparse.Namespace) -> list[Figure]:
    """Measure once, with servers and directories of its own."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        plan = Plan(Path(folder), _other(given))
        plan = quick(plan) if given.quick else plan
        return asyncio.run(_measure(plan, given.only or list(MEASURES)))


async def _measure(plan: Plan, names: list[str]) -> list[Figure]:
    figures = []
    for name in names:
        print(f"--- {name}", file=sys.stderr, flush=True)
        figures += await {**MEASURES, **CLUSTER_MEASURES}[name](plan)
    return figures


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a little of everything")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--runs", type=int, default=1, metavar="N", help="whole runs (default: 1)")
    names = [*MEASURES, *CLUSTER_MEASURES]
    parser.add_argument("--only", action="append", choices=names, help="measure this")
    other = parser.add_mutually_exclusive_group()
    other.add_argument("--compare", metavar="URL", help="a server to compare with")
    other.add_argument(
        "--original",
        metavar="PYTHON",
        help="start lmms-eval's own server with this interpreter, and compare with it",
    )
    return parser.parse_args()


def _other(given: argparse.Namespace) -> Start | None:
    if given.original:
        return partial(original, given.original)
    if given.compare:
        return lambda _folder, queued: elsewhere(given.compare, queued)
    return None


def _report(figures: list[Figure]) -> dict[str, object]:
    version = platform.python_version()
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.platform()}, {os.cpu_count()} CPUs, Python {version}",
        "figures": [figure.as_json() for figure in figures],
    }


if __name__ == "__main__":
    sys.exit(main())
