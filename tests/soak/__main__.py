"""``python -m tests.soak``: run a server under steady load; exit with 1 if its usage grows."""

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
    """Run the soak test; return 0 if nothing grew."""
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument(
        "--settle-minutes", type=float, default=10.0, help="time before growth is measured"
    )
    parser.add_argument(
        "--pause", type=float, default=0.0, help="seconds between two jobs of a client"
    )
    parser.add_argument("--max-completed-jobs", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        server = ServerProcess(
            Path(folder) / "data", "--max-completed-jobs", str(options.max_completed_jobs)
        )
        samples = asyncio.run(soak(server, options.minutes * 60, options.pause))
    found = growth(samples, options.settle_minutes * 60)
    print("\n".join(found) or "nothing grew")
    return 1 if found else 0


async def soak(server: ServerProcess, seconds: float, pause_s: float) -> list[Sample]:
    """Load a server; print and return samples of its resource usage."""
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
