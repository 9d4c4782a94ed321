"""``python -m tests.chaos``: a seeded storm, and what it found."""

import argparse
import asyncio
import random
import sys
import tempfile
from pathlib import Path

from tests.chaos.restart import restart_times, told
from tests.chaos.storm import storm


def main() -> int:
    """Run one storm; 0 when no promise was broken."""
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument(
        "--restart", action="store_true", help="measure instead how long a killed server is away"
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        if given.restart:
            print(told(asyncio.run(restart_times(Path(folder)))))
            return 0
        print(f"seed {given.seed}, {given.kills} kills", flush=True)
        report = asyncio.run(storm(Path(folder), given.seed, given.kills))
    print(report)
    return 1 if report.broken else 0


if __name__ == "__main__":
    sys.exit(main())
