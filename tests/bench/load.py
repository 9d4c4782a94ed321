"""The load generator, a separate process so that it does not use the server's event loop.

``python -m tests.bench.load`` reads a ``Load`` as JSON from stdin, and writes a ``LoadResult`` to
stdout. Each client has a connection of its own and sends its next request after the response to the
previous one. It parses only the HTTP that it needs: it is several times as fast as the measured
servers, where a client library would be the bottleneck.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import cycle
from typing import cast

MAX_CPU = 1 / 3
"""The share of a core from which on the load generator may be what is measured."""


@dataclass(frozen=True)
class Load:
    """Clients that request the paths in turn from one address for some seconds.

    ``pause_s`` is the time between a response and the next request.
    """

    host: str
    port: int
    clients: int
    seconds: float
    paths: list[str]
    method: str = "GET"
    body: str = ""
    pause_s: float = 0.0


@dataclass(frozen=True)
class LoadResult:
    """Numbers of responses with status 200 and of others, the duration in seconds, the 50th, 99th
    and 100th percentile of response times in seconds, and the share of a core that this took."""

    good: int
    bad: int
    seconds: float
    p50: float
    p99: float
    worst: float
    cpu: float = 0.0

    @property
    def rate(self) -> float:
        """Successful responses per second."""
        return self.good / self.seconds


class _Client(asyncio.Protocol):
    """A connection that sends one request after another."""

    def __init__(self, load: Load, requests: Iterator[bytes], times: list[float]) -> None:
        self._load = load
        self._requests = requests
        self._times = times
        self._head = b""
        self._missing = -1
        """Missing bytes of the body; -1 while reading the head."""
        self._sent = 0.0
        self._transport: asyncio.Transport | None = None
        self.bad = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        if self._missing < 0:
            self._head += data
            head, end, body = self._head.partition(b"\r\n\r\n")
            if not end:
                return
            self._missing = _length(head)
            self.bad += not head.startswith(b"HTTP/1.1 200")
            data = body
        self._missing -= len(data)
        if self._missing == 0:
            self._on_response()

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None or self._missing > 0:
            self.bad += 1

    def close(self) -> None:
        """Close the connection immediately."""
        if self._transport is not None:
            self._transport.abort()

    def _on_response(self) -> None:
        self._times.append(time.perf_counter() - self._sent)
        self._head, self._missing = b"", -1
        if self._load.pause_s:
            asyncio.get_running_loop().call_later(self._load.pause_s, self._send)
        else:
            self._send()

    def _send(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._sent = time.perf_counter()
            self._transport.write(next(self._requests))


async def _run(load: Load) -> LoadResult:
    loop = asyncio.get_running_loop()
    requests = cycle([_request(load, path) for path in load.paths])
    times: list[float] = []
    clients = [_Client(load, requests, times) for _ in range(load.clients)]
    began, used = time.perf_counter(), time.process_time()
    for client in clients:
        await loop.create_connection(lambda client=client: client, load.host, load.port)  # type: ignore[misc]
    await asyncio.sleep(load.seconds)
    seconds = time.perf_counter() - began
    cpu = (time.process_time() - used) / seconds
    for client in clients:
        client.close()
    bad = sum(client.bad for client in clients)
    return replace(_summary(sorted(times), bad, seconds), cpu=cpu)


def _request(load: Load, path: str) -> bytes:
    body = load.body.encode()
    head = f"{load.method} {path} HTTP/1.1\r\nHost: {load.host}:{load.port}\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def _length(head: bytes) -> int:
    _, _, rest = head.lower().partition(b"\r\ncontent-length:")
    return int(rest.split(b"\r\n", 1)[0])


def _summary(times: list[float], bad: int, seconds: float) -> LoadResult:
    if not times:
        return LoadResult(0, bad, seconds, float("inf"), float("inf"), float("inf"))
    p50, p99 = (times[min(len(times) - 1, int(len(times) * share))] for share in (0.5, 0.99))
    return LoadResult(len(times) - bad, bad, seconds, p50, p99, times[-1])


async def run(load: Load) -> LoadResult:
    """Run the load in another process."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.load"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate(json.dumps(asdict(load)).encode())
    if process.returncode != 0:
        raise RuntimeError(f"the load generator failed at {load.host}:{load.port}")
    result = LoadResult(**json.loads(output))
    if result.cpu > MAX_CPU:
        print(
            f"{load.clients} clients, {load.method} {load.paths[0]}: the load generator took"
            f" {result.cpu:.0%} of a core",
            file=sys.stderr,
        )
    return result


if __name__ == "__main__":
    print(json.dumps(asdict(asyncio.run(_run(Load(**json.loads(sys.stdin.read())))))))
