"""Counting samples, and failed requests to a model in an evaluation that did not stop because of
them.

lmms-eval (0.7.3: ``models/chat/async_openai.py`` and others) gives ``[LMMS_EVAL_REQUEST_FAILED
after N retries] why`` for the model's answer, scores it as wrong, and exits 0. lm-eval (0.4.13:
``models/openai_completions.py``) takes an empty answer where a response has none, such as an error
that came with status 200.
"""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from evalserver.core.bounded_json import InvalidJson, parse_object
from evalserver.system.attempt_log import log_path, open_log
from evalserver.system.untrusted_files import (
    MissingFile,
    UnreadableFile,
    UntrustedDirectory,
    open_file,
)

MARK = "[LMMS_EVAL_REQUEST_FAILED"
QUOTED = b'"' + MARK.encode()
"""A JSON string that begins with the mark."""
QUOTED_MARK = re.compile(rb'"(' + re.escape(MARK.encode()) + rb'[^"\\]{0,300})')
MAX_PIECE_BYTES = 1024 * 1024
MAX_BYTES = 16 * 1024**3
"""Of one file; reading more would take minutes."""
ANSWERS = ("resps", "filtered_resps")
"""The keys of a sample with the model's answers."""
GAVE_UP = re.compile(rb"All \S+ attempts failed")
"""What lmms-eval logs once for each request that it gives up."""
NO_ANSWER = re.compile(rb"Could not parse generations: [^\r\n]{0,200}")
"""What lm-eval logs once for each response without an answer."""


@dataclass(frozen=True)
class FailedRequests:
    """How many of an evaluation's samples have no answer because the request failed."""

    failed: int
    of: int
    example: str | None = None

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return min(1.0, self.failed / self.of) if self.of else 0.0


def count_in_samples(directory: UntrustedDirectory, paths: Iterable[str]) -> FailedRequests:
    """Count in samples files of the directory, with at most a megabyte of a file in memory.

    Raises UnreadableFile, also when a file has more than ``MAX_BYTES``.
    """
    return add_up(count_in_file(directory, path) for path in paths)


def add_up(counts: Iterable[FailedRequests]) -> FailedRequests:
    """Return the counts of several files as one."""
    failed, of, example = 0, 0, None
    for each in counts:
        failed, of, example = failed + each.failed, of + each.of, example or each.example
    return FailedRequests(failed, of, example)


def count_in_file(directory: UntrustedDirectory, path: str) -> FailedRequests:
    """Count in one samples file. Raises UnreadableFile."""
    failed, of, example = 0, 0, None
    with open_file(directory, path) as file:
        for begins_line, piece, whole in _read_pieces(file, directory.path / path):
            if begins_line:
                of += 1
                counted, before = False, b""
            text, before = before + piece, piece[-len(MARK) :]
            failure = _find_failure(text, whole) if QUOTED in text else None
            if failure is not None and not counted:
                failed, counted = failed + 1, True
                example = example or failure[:300]
    return FailedRequests(failed, of, example)


def count_in_log(run_dir: Path, of: int, mark: re.Pattern[bytes] = GAVE_UP) -> FailedRequests:
    """Count in the attempt's log, where samples do not tell; ``of`` is how many there were.

    ``mark`` is what the harness logs for each. Raises UnreadableFile, also when the log has more
    than ``MAX_BYTES``.
    """
    failed = 0
    try:
        with open_log(run_dir) as file:
            failed = sum(
                mark.search(piece) is not None
                for _, piece, _ in _read_pieces(file, log_path(run_dir))
            )
    except MissingFile:
        pass  # without a log there is nothing to count
    return FailedRequests(failed, of)


def _read_pieces(file: BinaryIO, path: Path) -> Iterator[tuple[bool, bytes, bool]]:
    """Yield lines, long ones in pieces: whether a line begins, the piece, whether it is
    complete."""
    size = os.fstat(file.fileno()).st_size
    if size > MAX_BYTES:
        raise UnreadableFile(
            f"{path}: it has {size} bytes, more than the {MAX_BYTES} that are read"
        )
    begins = True
    # A file that grows meanwhile is read up to its size now.
    while size > 0 and (piece := file.readline(min(size, MAX_PIECE_BYTES))):
        size -= len(piece)
        ends = piece.endswith(b"\n") or len(piece) < MAX_PIECE_BYTES
        yield begins, piece, begins and ends
        begins = ends


def _find_failure(piece: bytes, is_line: bool) -> str | None:
    """Return the first failed answer of a sample, or None."""
    if not is_line:
        # Too long to parse: search for a string that begins with the mark.
        found = QUOTED_MARK.search(piece)
        return None if found is None else found[1].decode(errors="replace")
    try:
        sample = parse_object(piece)
    except InvalidJson:
        return None
    texts = (text for key in ANSWERS for text in _iterate_texts(sample.get(key)))
    return next((text for text in texts if text.startswith(MARK)), None)


def _iterate_texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for below in value:
            yield from _iterate_texts(below)
