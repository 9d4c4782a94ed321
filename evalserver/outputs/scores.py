"""Reading the score of each document from a samples file, for all metrics of a task at once.

The file is read line by line; only one number per metric is kept of a line.
"""

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from evalserver.engines import Engine
from evalserver.outputs.sample_lines import LinePosition, LineReader, SampleLine

MAX_FILE_BYTES = 1024**3
"""Reading a larger file would take too long."""
MAX_SCORES = 2_000_000
"""Each takes about 100 bytes of memory."""

DOCUMENT_HASH = "doc_hash"
"""The key under which both harnesses write the hash of a document."""
CLUSTER = "cluster"
"""The key of the cluster that a document belongs to: see docs/engines.md."""

ScoreKey = tuple[str, str]
"""The names of a metric and of a filter of the harness."""
DocId = int | str


class ScoresUnavailable(Exception):
    """The file does not have one score per document; the message says why."""


@dataclass(frozen=True)
class TaskScores:
    """The scores of documents by metric and filter, then by document id; the hashes of the
    documents, if the harness wrote them; and the clusters that samples name, by filter and document
    id."""

    scores: Mapping[ScoreKey, Mapping[DocId, float]]
    hashes: Mapping[DocId, int]
    clusters: Mapping[str, Mapping[DocId, int]]

    def has_same_documents(self, other: "TaskScores") -> bool:
        """Return whether the documents with the same ids have the same hashes, where both have
        one."""
        common = self.hashes.keys() & other.hashes.keys()
        return all(self.hashes[each] == other.hashes[each] for each in common)


class ReadCancelled(Exception):
    """The read was cancelled, because nobody needs the result any more."""


def read_scores(
    file: BinaryIO,
    engine: Engine,
    keys: Collection[ScoreKey],
    is_cancelled: Callable[[], bool] = lambda: False,
) -> TaskScores:
    """Read the scores of a task.

    Raises ScoresUnavailable, and ReadCancelled once ``is_cancelled`` returns true.
    """
    size = os.fstat(file.fileno()).st_size
    if size > MAX_FILE_BYTES:
        raise ScoresUnavailable(
            f"its samples have {size} bytes, more than the maximum of {MAX_FILE_BYTES}"
        )
    # If a task has one filter, the harness may not write its name.
    [first, *others] = sorted({filter_name for _, filter_name in keys})
    collector = _ScoreCollector(engine, keys, None if others else first)
    for line in _all_lines(file):
        if is_cancelled():
            raise ReadCancelled
        collector.add(line)
    return TaskScores(collector.scores, collector.hashes, collector.clusters)


class _ScoreCollector:
    def __init__(self, engine: Engine, keys: Collection[ScoreKey], only_filter: str | None) -> None:
        self._engine = engine
        self._only_filter = only_filter
        self._scores_left = MAX_SCORES
        self.scores: dict[ScoreKey, dict[DocId, float]] = {key: {} for key in keys}
        self.hashes: dict[DocId, int] = {}
        self.clusters: dict[str, dict[DocId, int]] = {name: {} for _, name in keys}

    def add(self, line: SampleLine) -> None:
        if line.values is None or line.doc_id is None:
            raise ScoresUnavailable(line.problem or "a line of its samples has no document id")
        document_hash = line.values.get(DOCUMENT_HASH)
        if isinstance(document_hash, str):
            self.hashes[line.doc_id] = hash(document_hash)
        filter_name = self._only_filter or self._engine.filter_of(line.values)
        cluster = line.values.get(CLUSTER)
        if filter_name in self.clusters and isinstance(cluster, str | int):
            # A text may be long.
            number = cluster if isinstance(cluster, int) else hash(cluster)
            self.clusters[filter_name][line.doc_id] = number
        for (metric, key_filter), scores in self.scores.items():
            if key_filter == filter_name:
                self._add_score(scores, line.doc_id, self._engine.score(line.values, metric))

    def _add_score(self, scores: dict[DocId, float], doc_id: DocId, score: float | None) -> None:
        if score is None:
            return
        if doc_id in scores:
            raise ScoresUnavailable(f"document {doc_id} has several samples")
        self._scores_left -= 1
        if self._scores_left < 0:
            raise ScoresUnavailable(f"its samples have more than {MAX_SCORES} scores")
        scores[doc_id] = score


def _all_lines(file: BinaryIO) -> Iterator[SampleLine]:
    position: LinePosition | None = LinePosition()
    while position is not None:
        lines = LineReader(file, position)
        yield from lines
        position = lines.position
