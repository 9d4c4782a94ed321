"""Kills of the server and of receivers lose no message and change no order."""

import sqlite3
from contextlib import closing
from pathlib import Path

from evalserver.store import DATABASE_NAME
from tests.followers.receivers import receiving, tally
from tests.support import ServerProcess, until

JOBS, CANCELS = 5, 4


def cancelled_events(server: ServerProcess) -> list[tuple[str, int]]:
    """The events of cancelled jobs, from the audit log."""
    uri = f"{(server.data_dir / DATABASE_NAME).as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as database:
        return database.execute(
            "SELECT job_id, event_id FROM job_events WHERE event = 'cancelled'"
        ).fetchall()


async def cancel_and_retry(server: ServerProcess) -> list[str]:
    """Submit some jobs to a drained server, and cancel and retry them in turn."""
    jobs = [await server.api.submit_unchecked() for _ in range(JOBS)]
    for turn in range(CANCELS):
        for job_id in jobs:
            await server.api.call("DELETE", f"/jobs/{job_id}")
            if turn < CANCELS - 1:
                await server.api.call("POST", f"/jobs/{job_id}/retry")
    return jobs


async def test_kills_of_server_and_receiver_lose_nothing(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data", "--webhook-allow-network", "127.0.0.1")
    with receiving(tmp_path) as receiver:
        async with server:
            await server.api.call("POST", "/drain")
            wanted = {"url": receiver.url, "events": ["job.cancelled"]}
            made = await server.api.call("POST", "/webhooks", json=wanted)
            receiver.kill()
            await cancel_and_retry(server)
            server.kill()
            await server.start()
            receiver.start()
            await receiver.received(JOBS)
            receiver.kill()
            server.kill()
            receiver.start()
            await server.start()

            async def is_done() -> bool:
                found = await server.api.call("GET", f"/webhooks/{made['webhook_id']}")
                return bool(found["undelivered"] == 0)

            await until(is_done)
            told = cancelled_events(server)

        assert len(told) == JOBS * CANCELS
        found = tally(receiver, made["secret"], told)
        assert (found.missing, found.out_of_order) == (0, 0)
