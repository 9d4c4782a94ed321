"""An index of a samples file: where each sample lies, how it was scored, and which document it is.

Of a sample only numbers stay in memory, about 80 bytes, however long its texts are.
"""

import math
import os
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from evalserver.engines import Engine, Verdict
from evalserver.outputs.document_keys import (
    MAX_QUESTIONS,
    NONE,
    DocumentKeys,
    find_keys,
    hash_of,
)
from evalserver.outputs.sample_lines import LinePosition, LineReader, SampleLine
from evalserver.outputs.scores import MAX_FILE_BYTES, ReadCancelled, ScoresUnavailable

MAX_SAMPLES = 200_000
"""Of a file, with the filter that is read."""

VERDICTS = {Verdict.RIGHT: 1.0, Verdict.WRONG: 0.0}


@dataclass(frozen=True)
class Judge:
    """How samples are scored: by a metric, which may only be right or wrong (``is_binary``), under
    a filter of the harness; ``only_filter`` means that the task has no other, so that samples need
    not name it."""

    metric: str | None
    is_binary: bool
    filter: str | None
    only_filter: bool

    def score(self, line: SampleLine, engine: Engine) -> float:
        """Return the score of a sample, 1 or 0 if it is right or wrong; NaN without one."""
        if line.values is None or self.metric is None:
            return math.nan
        if self.is_binary:
            verdict = engine.verdict(line.values, self.metric)
            return math.nan if verdict is None else VERDICTS.get(verdict, math.nan)
        score = engine.score(line.values, self.metric)
        return math.nan if score is None else score

    def includes(self, line: SampleLine, engine: Engine) -> bool:
        """Whether the sample was scored under the filter."""
        if self.only_filter or self.filter is None:
            return True
        return line.values is not None and engine.filter_of(line.values) == self.filter


@dataclass
class SampleIndex:
    """The samples of a file, a row each, in the order of the file; ``unreadable`` counts lines that
    have no sample. ``places`` are offsets times 2, plus 1 inside of a line (``LinePosition``)."""

    places: "array[int]" = field(default_factory=lambda: array("q"))
    lines: "array[int]" = field(default_factory=lambda: array("l"))
    scores: "array[float]" = field(default_factory=lambda: array("d"))
    ids: "array[int]" = field(default_factory=lambda: array("q"))
    documents: "array[int]" = field(default_factory=lambda: array("q"))
    targets: "array[int]" = field(default_factory=lambda: array("q"))
    questions: "array[int]" = field(default_factory=lambda: array("q"))
    unreadable: int = 0

    def __len__(self) -> int:
        return len(self.places)

    def questions_of(self, row: int) -> frozenset[int]:
        """Return the hashes of the texts that may be the question of a sample."""
        start = row * MAX_QUESTIONS
        return frozenset(self.questions[start : start + MAX_QUESTIONS]) - {NONE}


def index_samples(
    file: BinaryIO, engine: Engine, judge: Judge, is_cancelled: Callable[[], bool]
) -> SampleIndex:
    """Read a samples file from its beginning into an index.

    Raises ScoresUnavailable if it is too large, and ReadCancelled once ``is_cancelled`` returns
    true.
    """
    size = os.fstat(file.fileno()).st_size
    if size > MAX_FILE_BYTES:
        raise ScoresUnavailable(
            f"its samples have {size} bytes, more than the maximum of {MAX_FILE_BYTES}"
        )
    index, seen = SampleIndex(), _Occurrences()
    for start, line in _lines_with_positions(file):
        if is_cancelled():
            raise ReadCancelled
        if line.doc_id is None or (line.values is None and not judge.only_filter):
            index.unreadable += 1
        elif judge.includes(line, engine):
            if len(index) == MAX_SAMPLES:
                raise ScoresUnavailable(f"it has more than {MAX_SAMPLES} samples of the task")
            keys = find_keys(line.values or {}, line.doc_id)
            _add(index, start, line, judge.score(line, engine), seen.distinct(keys))
    return index


class _Occurrences:
    """Tells samples with the same id apart by their order."""

    def __init__(self) -> None:
        self._seen: dict[int, int] = {}

    def distinct(self, keys: DocumentKeys) -> DocumentKeys:
        number = self._seen.get(keys.id, 0)
        self._seen[keys.id] = number + 1
        return keys if number == 0 else replace(keys, id=hash_of(keys.id, number))


def _add(
    index: SampleIndex, start: LinePosition, line: SampleLine, score: float, keys: DocumentKeys
) -> None:
    index.places.append(start.offset * 2 + start.inside)
    index.lines.append(start.line)
    index.scores.append(score)
    index.ids.append(keys.id)
    index.documents.append(keys.document)
    index.targets.append(keys.target)
    missing = MAX_QUESTIONS - len(keys.questions)
    index.questions.extend((*keys.questions, *[NONE] * missing))


def _lines_with_positions(file: BinaryIO) -> Iterator[tuple[LinePosition, SampleLine]]:
    """Yield each line with the position from which it can be read again."""
    start: LinePosition | None = LinePosition()
    while start is not None:
        reader = LineReader(file, start)
        for line in reader:
            yield start, line
            start = reader.position or LinePosition()
        start = reader.position
