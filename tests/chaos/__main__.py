"""``python -m tests.chaos``: run a seeded chaos test and report violations."""

import argparse
import asyncio
import random
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests.chaos.restart import format_table, measure_downtime
from tests.chaos.run import run_chaos
from tests.slurm_cluster import SlurmCluster


def main() -> int:
    """Run one chaos test; return 0 without violations."""
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--gpus", type=int, default=0, help="managed GPUs: several at once")
    parser.add_argument(
        "--executor",
        choices=("local", "slurm"),
        default="local",
        help="where the jobs run; slurm brings a real one up, as root",
    )
    parser.add_argument(
        "--restart", action="store_true", help="measure the downtime after a kill instead"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        if options.restart:
            print(format_table(asyncio.run(measure_downtime(Path(folder)))))
            return 0
        print(f"seed {options.seed}, {options.kills} kills", flush=True)
        with ExitStack() as stack:
            cluster = None
            if options.executor == "slurm":
                cluster = stack.enter_context(SlurmCluster())
            report = asyncio.run(
                run_chaos(Path(folder), options.seed, options.kills, options.gpus, cluster)
            )
    print(report)
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main())
