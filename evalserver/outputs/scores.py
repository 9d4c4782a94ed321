"""What each document of a samples file got, for all metrics of a task at once.

The file is read line by line; what is kept of a line is a number for each metric.
"""

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from evalserver.engines import Engine
from evalserver.outputs.sample_lines import Line, Lines, Place

MOST_BYTES = 1024**3
"""Of a samples file: reading a larger one would take too long."""
MOST_SCORES = 2_000_000
"""Kept of a file; each takes about 100 bytes."""

DOCUMENT_HASH = "doc_hash"
"""What both harnesses call their hash of a document."""

Key = tuple[str, str]
"""A metric and a filter of the harness."""
DocId = int | str


class NoScores(Exception):
    """The file does not tell what each document got; says why."""


@dataclass(frozen=True)
class TaskScores:
    """What each document got, by metric and filter and then by its id; and the hash of each
    document, where the harness wrote one."""

    scores: Mapping[Key, Mapping[DocId, float]]
    hashes: Mapping[DocId, int]

    def has_documents_of(self, other: "TaskScores") -> bool:
        """Whether what has the same id in both is the same document, as far as can be told."""
        common = self.hashes.keys() & other.hashes.keys()
        return all(self.hashes[each] == other.hashes[each] for each in common)


class Stopped(Exception):
    """Nobody wants to know any more."""


def read_scores(
    file: BinaryIO,
    engine: Engine,
    keys: Collection[Key],
    is_over: Callable[[], bool] = lambda: False,
) -> TaskScores:
    """Read a task's samples. Raises NoScores, and Stopped once ``is_over`` says so."""
    size = os.fstat(file.fileno()).st_size
    if size > MOST_BYTES:
        raise NoScores(f"its samples have {size} bytes, more than the {MOST_BYTES} that are read")
    # Where there is but one filter, a harness need not write down which.
    [only, *others] = sorted({behind for _, behind in keys})
    reading = _Reading(engine, keys, None if others else only)
    for line in _all_lines(file):
        if is_over():
            raise Stopped
        reading.add(line)
    return TaskScores(reading.scores, reading.hashes)


class _Reading:
    def __init__(self, engine: Engine, keys: Collection[Key], only_filter: str | None) -> None:
        self._engine = engine
        self._only_filter = only_filter
        self._left = MOST_SCORES
        self.scores: dict[Key, dict[DocId, float]] = {key: {} for key in keys}
        self.hashes: dict[DocId, int] = {}

    def add(self, line: Line) -> None:
        if line.values is None or line.doc_id is None:
            raise NoScores(line.problem or "a line of its samples names no document")
        written = line.values.get(DOCUMENT_HASH)
        if isinstance(written, str):
            self.hashes[line.doc_id] = hash(written)
        behind = self._only_filter or self._engine.filter_of(line.values)
        for (metric, kind), scores in self.scores.items():
            if kind == behind:
                self._keep(scores, line.doc_id, self._engine.score(line.values, metric))

    def _keep(self, scores: dict[DocId, float], doc_id: DocId, score: float | None) -> None:
        if score is None:
            return
        if doc_id in scores:
            raise NoScores(f"document {doc_id} has several samples")
        self._left -= 1
        if self._left < 0:
            raise NoScores(f"its samples have more than {MOST_SCORES} numbers")
        scores[doc_id] = score


def _all_lines(file: BinaryIO) -> Iterator[Line]:
    place: Place | None = Place()
    while place is not None:
        lines = Lines(file, place)
        yield from lines
        place = lines.place
