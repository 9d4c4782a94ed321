"""``python -m tests.chaos``: run a seeded chaos test and report violations."""

import argparse
import asyncio
import random
import signal
import sys
from contextlib import ExitStack

from tests.chaos.abandoned import CLUSTER, owned_directory, sweep_abandoned
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
    # As Ctrl-C does: what was started is ended.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    for left in sweep_abandoned():
        print(f"ended and removed what a killed run left in {left}", flush=True)
    with owned_directory() as folder:
        if options.restart:
            print(format_table(asyncio.run(measure_downtime(folder))))
            return 0
        print(f"seed {options.seed}, {options.kills} kills", flush=True)
        with ExitStack() as stack:
            cluster = None
            if options.executor == "slurm":
                cluster = stack.enter_context(SlurmCluster(directory=folder / CLUSTER))
            report = asyncio.run(
                run_chaos(folder, options.seed, options.kills, options.gpus, cluster)
            )
    print(report)
    return 1 if report.violations else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("chaos: stopped; nothing was left running")
