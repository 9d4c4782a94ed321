"""Following jobs while the server is stopped, killed and restarted."""

import asyncio
import socket
import time
from collections.abc import Callable

import pytest

from tests.event_reader import Message, story
from tests.support import ServerProcess, until

HANG = {"behave": "hang"}
LOG = "FROM job_events ORDER BY event_id"
STOP = ServerProcess.stop
KILL = ServerProcess.kill

Ending = Callable[[ServerProcess], object]


@pytest.mark.parametrize("end", [STOP, KILL])
async def test_a_follower_of_a_job_misses_nothing_across_a_restart(
    server: ServerProcess, end: Ending
) -> None:
    async with server:
        job_id = await server.api.submit(model_args={"seconds": 2})
        await server.api.when(job_id, "running")
        path = f"/jobs/{job_id}/events"
        async with server.api.stream(path) as reader:
            received = [await reader.next(), await reader.next()]
            end(server)
        await server.start()
        await server.api.finished(job_id)

        headers = {"Last-Event-ID": str(reader.last_event_id)}
        async with server.api.stream(path, headers=headers) as reader:
            received += await reader.rest()

    assert story(received) == [*server.query(f"SELECT event {LOG}"), "end"]


@pytest.mark.parametrize("end", [STOP, KILL])
async def test_a_follower_of_all_jobs_receives_every_event_once(
    server: ServerProcess, end: Ending
) -> None:
    async with server:
        async with server.api.stream("/events") as reader:
            await reader.opened()
            jobs = [await server.api.submit(model_args={"seconds": 1}) for _ in range(2)]
            received = [await reader.next() for _ in range(3)]
            end(server)
        await server.start()
        await server.api.finished(jobs[1])
        events = [int(each) for each in server.query(f"SELECT event_id {LOG}")]

        headers = {"Last-Event-ID": str(reader.last_event_id)}
        async with server.api.stream("/events", headers=headers) as reader:
            received += [await reader.next() for _ in range(len(events) - len(received))]

    assert [each.event_id for each in received] == events


async def test_open_streams_and_long_polls_do_not_delay_shutdown(
    server: ServerProcess,
) -> None:
    async with server:
        job_id = await server.api.submit(model_args=HANG)
        running = await server.api.when(job_id, "running")
        waiting = asyncio.create_task(server.api.call("GET", f"/jobs/{job_id}?wait=60"))
        async with (
            server.api.stream("/events") as all_jobs,
            server.api.stream(f"/jobs/{job_id}/events?log=1") as one_job,
        ):
            await all_jobs.opened()
            await one_job.opened()
            seconds = await _seconds_to_stop(server)
            rest = [await all_jobs.rest(), await one_job.rest()]

    assert seconds < 40  # a server that waits for its readers does so for a minute
    assert (await waiting)["event_id"] == running["event_id"]
    assert [kind for each in rest for kind in _kinds(each)] == ["status", "status"]


async def test_a_stalled_reader_does_not_delay_shutdown(
    server: ServerProcess,
) -> None:
    async with server:
        hanging = await server.api.submit(model_args=HANG)
        await server.api.when(hanging, "running")
        await asyncio.gather(*(_submit_and_delete(server) for _ in range(600)))
        with socket.socket() as sleeper:
            sleeper.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sleeper.connect(("127.0.0.1", server.port))
            sleeper.sendall(b"GET /events?last_event_id=0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await until(lambda: _has_data(sleeper))

            seconds = await _seconds_to_stop(server)

    assert seconds < 40  # a server that waits for its readers does so for a minute


async def _submit_and_delete(server: ServerProcess) -> None:
    await server.api.call("DELETE", f"/jobs/{await server.api.submit()}")


async def _seconds_to_stop(server: ServerProcess) -> float:
    began = time.monotonic()
    assert await asyncio.to_thread(server.stop) == 0
    return time.monotonic() - began


async def _has_data(sock: socket.socket) -> bool:
    return bool(await asyncio.to_thread(sock.recv, 1, socket.MSG_PEEK))


def _kinds(messages: list[Message]) -> list[str]:
    """The kinds of the messages, except progress, whose timing varies."""
    return [each.kind for each in messages if each.kind != "progress"]
