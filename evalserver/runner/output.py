"""The harness's output on its way into ``eval.log``: what is secret is masked before it is kept."""

import os
import re
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

MASK = b"[secret]"
CHUNK_BYTES = 64 * 1024
DRAIN_SECONDS = 5.0
"""For what is still in the pipe when all processes are gone; a stranger may hold its other end."""


class MaskedLog:
    """A pipe into a log file. Give ``writer`` to the harness, and ``let_go`` of it then; leaving
    the block empties the pipe.

    A thread carries the output, so that the harness never waits for who supervises it. When the
    disk is full, output is lost and the harness goes on.
    """

    def __init__(self, path: Path, secrets: Sequence[str]) -> None:
        self._file: BinaryIO = path.open("ab", buffering=0)
        self._mask = _Mask(secrets)
        self._reader, self.writer = os.pipe()
        self._thread = threading.Thread(target=self._carry, name="output", daemon=True)

    def __enter__(self) -> "MaskedLog":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.let_go()
        if self._thread.is_alive():
            self._thread.join(DRAIN_SECONDS)

    def begin(self) -> None:
        """Carry output from now on."""
        self._thread.start()

    def let_go(self) -> None:
        """Nothing more is started that writes here: when those who do have ended, so does this."""
        if self.writer >= 0:
            os.close(self.writer)
            self.writer = -1

    def feed(self, piece: bytes) -> None:
        """Keep a piece of output."""
        self._write(self._mask.feed(piece))

    def finish(self) -> None:
        """Keep what was held back: nothing comes any more."""
        self._write(self._mask.rest())
        self._file.close()

    def _carry(self) -> None:
        while piece := os.read(self._reader, CHUNK_BYTES):
            self.feed(piece)
        self.finish()

    def _write(self, text: bytes) -> None:
        try:
            while text:
                text = text[self._file.write(text) :]
        except OSError:
            return


class _Mask:
    """Replaces secrets in a stream that comes in pieces, also where one is cut in two."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._secrets = sorted(
            {secret.encode(errors="surrogateescape") for secret in secrets if secret}, key=len
        )
        longest_first = b"|".join(re.escape(secret) for secret in reversed(self._secrets))
        self._pattern = re.compile(longest_first) if self._secrets else None
        self._held = b""

    def feed(self, piece: bytes) -> bytes:
        """What can be written now: all but an end that may be the beginning of a secret."""
        if self._pattern is None:
            return piece
        text = self._pattern.sub(MASK, self._held + piece)
        cut = len(text) - self._open_end(text)
        self._held = text[cut:]
        return text[:cut]

    def rest(self) -> bytes:
        """What was held back, when nothing comes any more."""
        return self._held

    def _open_end(self, text: bytes) -> int:
        longest = min(len(self._secrets[-1]) - 1, len(text))
        for length in range(longest, 0, -1):
            if any(secret.startswith(text[-length:]) for secret in self._secrets):
                return length
        return 0
