"""Receivers of webhooks for tests: real processes on the loopback address."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from standardwebhooks import Webhook as Verifier

from tests.support import WAIT_SECONDS, Json, free_port, until

ROOT = Path(__file__).parents[2]

PAUSE_SECONDS = 0.05


@dataclass
class Receiver:
    """A receiver, and what it got."""

    port: int
    kept: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it receives."""
        return f"http://127.0.0.1:{self.port}/hook"

    def start(self) -> None:
        """Start it, again if it was killed."""
        command = [sys.executable, "-m", "tests.followers.receiver", str(self.port), str(self.kept)]
        self.process = subprocess.Popen(command, cwd=ROOT)
        for _ in range(int(WAIT_SECONDS / PAUSE_SECONDS)):
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            time.sleep(PAUSE_SECONDS)
        raise TimeoutError("the receiver does not listen")

    def kill(self) -> None:
        """End it at once, whatever it is doing."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def answer(self, status: int = 204, **headers: str) -> None:
        """Have it answer with this status from now on."""
        self.behave(status=status, headers=headers)

    def behave(self, **wanted: Any) -> None:
        """Have it answer so from now on; see ``receiver``."""
        draft = self.kept.with_suffix(".draft")
        draft.write_text(json.dumps(wanted))
        draft.rename(self.kept.with_suffix(".answer"))

    @property
    def requests(self) -> list[Json]:
        """What it got, in order."""
        text = self.kept.read_text() if self.kept.exists() else ""
        return [json.loads(line) for line in text.splitlines() if line.endswith("}")]

    def bodies(self, secret: str) -> list[Any]:
        """The bodies of what it accepted, each with a valid signature."""
        verifier = Verifier(secret)
        return [
            verifier.verify(each["body"], each["headers"])
            for each in self.requests
            if each["status"] < 300
        ]

    async def received(self, number: int) -> list[Json]:
        """Wait until it got this many requests, and return them."""

        async def has() -> list[Json] | None:
            found = self.requests
            return found if len(found) >= number else None

        found: list[Json] = await until(has)
        return found


@dataclass(frozen=True)
class Tally:
    """What a receiver accepted, beside what it was to be told."""

    sent: int
    received: int
    missing: int
    repeated: int
    out_of_order: int


def tally(receiver: Receiver, secret: str, told: Collection[tuple[str, int]]) -> Tally:
    """Compare what a receiver accepted with the events, by job and id, that it was to be told."""
    accepted = [
        (each["data"]["job_id"], each["data"]["event_id"]) for each in receiver.bodies(secret)
    ]
    first = dict.fromkeys(accepted)
    newest: dict[str, int] = {}
    out_of_order = 0
    for job_id, event_id in first:
        out_of_order += event_id < newest.get(job_id, 0)
        newest[job_id] = max(event_id, newest.get(job_id, 0))
    missing = len(set(told) - set(first))
    return Tally(len(told), len(first), missing, len(accepted) - len(first), out_of_order)


@contextmanager
def receiving(folder: Path, name: str = "received") -> Iterator[Receiver]:
    """A receiver that runs within the block."""
    receiver = Receiver(free_port(), folder / f"{name}.jsonl")
    receiver.start()
    try:
        yield receiver
    finally:
        receiver.kill()
