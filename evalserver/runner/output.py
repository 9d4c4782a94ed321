"""Writing the harness's output to ``eval.log``, with secrets masked."""

from __future__ import annotations

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
"""Longer secrets are searched for in parts of at most this length."""
DRAIN_SECONDS = 5.0
"""How long the pipe is read after all processes ended: another process may hold it open."""


class MaskedLog:
    """A pipe into a log file. Pass ``writer`` to the harness, then call ``close_writer``. Leaving
    the ``with`` block reads the pipe to its end.

    A thread copies the output, so that the harness never blocks on the runner. When the disk is
    full, output is lost, and the harness continues.
    """

    def __init__(self, path: Path, secrets: Sequence[str]) -> None:
        self._file: BinaryIO = path.open("ab", buffering=0)
        hidden = [each.encode(errors="surrogateescape") for each in secrets]
        self._mask = Mask(hidden, lambda _secret: MASK)
        self._reader, self.writer = os.pipe()
        self._thread = threading.Thread(target=self._copy, name="output", daemon=True)
        self.has_received = False
        """Whether anything was written into the pipe."""

    def __enter__(self) -> MaskedLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close_writer()
        if self._thread.is_alive():
            self._thread.join(DRAIN_SECONDS)

    def start(self) -> None:
        """Start to copy output, unless that was started before."""
        if self._thread.ident is None:
            self._thread.start()

    def close_writer(self) -> None:
        """Close the pipe's writing end here: it ends when the processes that have it do."""
        if self.writer >= 0:
            os.close(self.writer)
            self.writer = -1

    def feed(self, piece: bytes) -> None:
        """Write a piece of output."""
        self._write(self._mask.feed(piece))

    def finish(self) -> None:
        """Write what was held back, and close the log: the output has ended."""
        self._write(self._mask.rest())
        self._file.close()

    def _copy(self) -> None:
        while piece := os.read(self._reader, CHUNK_BYTES):
            self.has_received = True
            self.feed(piece)
        self.finish()

    def _write(self, text: bytes) -> None:
        try:
            while text:
                text = text[self._file.write(text) :]
        except OSError:
            return


class Mask:
    """Replaces secrets in a stream that arrives in pieces. The result does not depend on where it
    is cut. If several secrets begin at the same position, the longest is replaced.

    ``replace`` returns the replacement for a secret.
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
        """Return what can be written now: everything before a possible, still incomplete secret."""
        if self._pattern is None:
            return piece
        text = self._held + piece
        masked: list[bytes] = []
        done = 0
        while True:
            incomplete_at = self._incomplete_start(text, done)
            match = self._pattern.search(text, done)
            if match is None or match.start() >= incomplete_at:
                self._held = text[incomplete_at:]
                return b"".join([*masked, text[done:incomplete_at]])
            masked += [text[done : match.start()], self._replace(match.group())]
            done = match.end()

    def rest(self) -> bytes:
        """Return what was held back, after the end of the stream."""
        held, self._held = self._held, b""
        if self._pattern is None:
            return held
        return self._pattern.sub(lambda match: self._replace(match.group()), held)

    def _incomplete_start(self, text: bytes, start: int) -> int:
        """Return the first position of a possible secret that the text cuts off."""
        for position in range(max(start, len(text) - len(self._secrets[-1]) + 1), len(text)):
            if text[position] in self._first_bytes and self._begins_secret(text[position:]):
                return position
        return len(text)

    def _begins_secret(self, end: bytes) -> bool:
        return any(len(each) > len(end) and each.startswith(end) for each in self._secrets)


def _parts(secret: bytes) -> list[bytes]:
    """Split a secret into parts of equal length, each of which is masked by itself. Otherwise the
    end of every piece would be compared with the whole secret."""
    count = -(-len(secret) // MAX_PART_BYTES)
    size = -(-len(secret) // count)
    return [secret[at : at + size] for at in range(0, len(secret), size)]
