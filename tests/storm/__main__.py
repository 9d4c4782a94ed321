"""``python -m tests.storm``: send many messages to bad receivers, and kill the server meanwhile.

Exits with 1 if a message was lost or came out of order.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import aiohttp

from tests.followers.receivers import Receiver, receiving, tally
from tests.followers.test_webhook_crashes import cancelled_events
from tests.support import ServerProcess, until

KINDS: dict[str, dict[str, Any]] = {
    "good": {},
    "failing": {"fail_share": 0.3},
    "slow": {"delay_s": 0.3},
    "vanishing": {},
    "hanging": {"delay_s": 3600},
}
"""How each kind of receiver answers."""


def main() -> int:
    """Run the storm; return 0 if nothing was lost and everything came in order."""
    parser = argparse.ArgumentParser(prog="storm", description=__doc__)
    parser.add_argument("--jobs", type=int, default=100)
    parser.add_argument("--events", type=int, default=4, help="events of each job")
    parser.add_argument("--receivers", type=int, default=2, help="of each kind")
    parser.add_argument("--kill-every", type=float, default=5.0, help="seconds; 0: never")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="storm-") as folder:
        return asyncio.run(storm(Path(folder), options))


async def storm(folder: Path, options: argparse.Namespace) -> int:
    """Send all messages; print and check what each receiver got."""
    server = ServerProcess(folder / "data", "--webhook-allow-network", "127.0.0.1")
    names = [f"{kind}-{number}" for kind in KINDS for number in range(options.receivers)]
    with ExitStack() as stack:
        receivers = {name: stack.enter_context(receiving(folder, name)) for name in names}
        async with server:
            await server.api.call("POST", "/drain")
            made = {name: await _create(server, each) for name, each in receivers.items()}
            for name, receiver in receivers.items():
                receiver.behave(**KINDS[name.partition("-")[0]])
            began = time.monotonic()
            trouble = [
                asyncio.create_task(_kill_server(server, options.kill_every)),
                asyncio.create_task(_vanish(receivers)),
            ]
            await _work(server, options.jobs, options.events)
            print(f"all events happened after {time.monotonic() - began:.0f} s", flush=True)
            await _wait(server, [made[name] for name in names if not name.startswith("hanging")])
            print(f"others delivered after {time.monotonic() - began:.0f} s", flush=True)
            for task in trouble:
                task.cancel()
            await asyncio.wait(trouble)
            await _recover(server, receivers)
            await _wait(server, list(made.values()))
            print(f"all delivered after {time.monotonic() - began:.0f} s", flush=True)
            told = cancelled_events(server)
        print(f"{'receiver':14} {'sent':>6} {'received':>8} {'missing':>7} repeated out-of-order")
        bad = 0
        for name, receiver in receivers.items():
            found = tally(receiver, made[name]["secret"], told)
            bad += found.missing + found.out_of_order
            print(
                f"{name:14} {found.sent:6} {found.received:8} {found.missing:7}"
                f" {found.repeated:8} {found.out_of_order:12}"
            )
    return 1 if bad else 0


async def _create(server: ServerProcess, receiver: Receiver) -> dict[str, Any]:
    wanted = {"url": receiver.url, "events": ["job.cancelled"]}
    return dict(await server.api.call("POST", "/webhooks", json=wanted))


async def _work(server: ServerProcess, jobs: int, events: int) -> None:
    """Submit jobs, and cancel and retry each of them in turn, whatever is killed."""
    ids = [await _insist(server, "POST", "/evaluate?validate=false") for _ in range(jobs)]
    for turn in range(events):
        for each in ids:
            await _insist(server, "DELETE", f"/jobs/{each['job_id']}")
            if turn < events - 1:
                await _insist(server, "POST", f"/jobs/{each['job_id']}/retry")


async def _insist(server: ServerProcess, method: str, path: str) -> dict[str, Any]:
    """Send a request until there is an answer; that of an earlier try may have been lost."""
    body = {"model": "dummy", "tasks": ["mme"]}
    while True:
        with suppress(aiohttp.ClientError, OSError):
            async with aiohttp.ClientSession() as session:
                url = server.url + path
                async with session.request(
                    method, url, json=body if "evaluate" in path else None
                ) as answer:
                    if answer.status < 500 and answer.status != 429:
                        return dict(await answer.json(content_type=None))
        await asyncio.sleep(0.2)


async def _kill_server(server: ServerProcess, seconds: float) -> None:
    while seconds:
        await asyncio.sleep(seconds * random.uniform(0.5, 1.5))
        server.kill()
        await server.start()


async def _vanish(receivers: dict[str, Receiver]) -> None:
    while True:
        for name, receiver in receivers.items():
            if name.startswith("vanishing"):
                receiver.kill()
                await asyncio.sleep(random.uniform(0.5, 2))
                await asyncio.to_thread(receiver.start)
                await asyncio.sleep(random.uniform(0.5, 2))


async def _recover(server: ServerProcess, receivers: dict[str, Receiver]) -> None:
    """Have all receivers answer at once from now on."""
    if not await server.answers():
        server.stop()
        await server.start()
    for receiver in receivers.values():
        receiver.kill()
        receiver.behave()
        receiver.start()


async def _wait(server: ServerProcess, webhooks: list[dict[str, Any]]) -> None:
    async def are_delivered() -> bool:
        for each in webhooks:
            found = await _insist(server, "GET", f"/webhooks/{each['webhook_id']}")
            if found["undelivered"]:
                return False
        return True

    await until(are_delivered, 3600.0)


if __name__ == "__main__":
    sys.exit(main())
