"""Receivers of webhooks for tests: real processes on the loopback address."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
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

    def answer(self, status: int, **headers: str) -> None:
        """Have it answer with this status from now on."""
        draft = self.kept.with_suffix(".draft")
        draft.write_text(json.dumps({"status": status, "headers": headers}))
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


@contextmanager
def receiving(folder: Path, name: str = "received") -> Iterator[Receiver]:
    """A receiver that runs within the block."""
    receiver = Receiver(free_port(), folder / f"{name}.jsonl")
    receiver.start()
    try:
        yield receiver
    finally:
        receiver.kill()
