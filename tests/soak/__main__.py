"""``python -m tests.soak``: a server under steady load; 1 when what it uses grows."""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from tests.soak.clients import Load, submit_and_read
from tests.soak.samples import Sample, growth, take_sample
from tests.support import ServerProcess

CLIENTS = 3
SAMPLE_SECONDS = 10.0


def main() -> int:
    """Run one soak; 0 when nothing grew."""
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument(
        "--settle-minutes", type=float, default=10.0, help="before growth is looked for"
    )
    parser.add_argument(
        "--pause", type=float, default=0.0, help="seconds that each client waits between two jobs"
    )
    parser.add_argument("--max-completed-jobs", type=int, default=200)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        server = ServerProcess(
            Path(folder) / "data", "--max-completed-jobs", str(given.max_completed_jobs)
        )
        samples = asyncio.run(soak(server, given.minutes * 60, given.pause))
    found = growth(samples, given.settle_minutes * 60)
    print("\n".join(found) or "nothing grew")
    return 1 if found else 0


async def soak(server: ServerProcess, seconds: float, pause_s: float) -> list[Sample]:
    """Load a server for so long; prints and returns what its process used."""
    load, samples = Load(), []
    began = time.monotonic()
    async with server, asyncio.TaskGroup() as group:
        clients = [
            group.create_task(submit_and_read(server.url, client, pause_s, load))
            for client in range(CLIENTS)
        ]
        print(Sample.HEADER, flush=True)
        while (elapsed := time.monotonic() - began) < seconds:
            pid, data_dir = server.process.pid, server.data_dir
            samples.append(take_sample(pid, data_dir, elapsed, load.jobs, load.reads))
            print(samples[-1], flush=True)
            await asyncio.sleep(SAMPLE_SECONDS)
        for client in clients:
            client.cancel()
    return samples


if __name__ == "__main__":
    sys.exit(main())
