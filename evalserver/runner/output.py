"""The harness's output on its way into ``eval.log``: what is secret is masked before it is kept."""

import os
import re
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

MASK = b"[secret]"
CHUNK_BYTES = 64 * 1024
MAX_PART_BYTES = 1024
"""Of a secret that is looked for as a whole; a longer one is looked for in parts."""
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
        hidden = [each.encode(errors="surrogateescape") for each in secrets]
        self._mask = Mask(hidden, lambda _secret: MASK)
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


class Mask:
    """Replaces secrets in a stream that comes in pieces, wherever it is cut: the result is the same
    as if it came whole. Where several secrets begin at one place, the longest counts.

    ``replace`` makes of a secret what stands in its place.
    """

    def __init__(self, secrets: Sequence[bytes], replace: Callable[[bytes], bytes]) -> None:
        parts = {part for secret in secrets if secret for part in _parts(secret)}
        self._secrets = sorted(parts, key=len)
        longest_first = b"|".join(re.escape(secret) for secret in reversed(self._secrets))
        self._pattern = re.compile(longest_first) if self._secrets else None
        self._first_bytes = frozenset(secret[0] for secret in self._secrets)
        self._replace = replace
        self._held = b""

    def feed(self, piece: bytes) -> bytes:
        """What can be written now: all before a place at which a secret may begin that is not there
        to its end."""
        if self._pattern is None:
            return piece
        text = self._held + piece
        masked: list[bytes] = []
        done = 0
        while True:
            open_at = self._open_end(text, done)
            match = self._pattern.search(text, done)
            if match is None or match.start() >= open_at:
                self._held = text[open_at:]
                return b"".join([*masked, text[done:open_at]])
            masked += [text[done : match.start()], self._replace(match.group())]
            done = match.end()

    def rest(self) -> bytes:
        """What was held back, when nothing comes any more."""
        held, self._held = self._held, b""
        if self._pattern is None:
            return held
        return self._pattern.sub(lambda match: self._replace(match.group()), held)

    def _open_end(self, text: bytes, start: int) -> int:
        """The first place at which a secret may begin that is longer than the rest of the text."""
        for place in range(max(start, len(text) - len(self._secrets[-1]) + 1), len(text)):
            if text[place] in self._first_bytes and self._begins_secret(text[place:]):
                return place
        return len(text)

    def _begins_secret(self, end: bytes) -> bool:
        return any(len(each) > len(end) and each.startswith(end) for each in self._secrets)


def _parts(secret: bytes) -> list[bytes]:
    """A secret in parts of equal length, of which each is masked by itself: else the end of every
    piece would have to be compared with all of it."""
    count = -(-len(secret) // MAX_PART_BYTES)
    size = -(-len(secret) // count)
    return [secret[at : at + size] for at in range(0, len(secret), size)]
