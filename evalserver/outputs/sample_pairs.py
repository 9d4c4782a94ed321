"""Pairs the samples of two jobs document by document, and sorts them by what changed.

Samples of one harness are paired by the id of their document, unless their contents say that these
are different documents. All others, and those of different harnesses, are paired by content, if it
is unique in both files; where many documents have the same question, as about images, by question,
target and id together.
"""

import math
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from evalserver.outputs.document_keys import NONE, hash_of
from evalserver.outputs.sample_index import SampleIndex


class Change(StrEnum):
    """What became of a document from the baseline to the job, in the order of interest."""

    RIGHT_TO_WRONG = "right_to_wrong"
    WRONG_TO_RIGHT = "wrong_to_right"
    LOWER = "lower"
    """The job has a lower score; of metrics that are more than right and wrong."""
    HIGHER = "higher"
    BOTH_WRONG = "both_wrong"
    BOTH_RIGHT = "both_right"
    EQUAL = "equal"
    UNJUDGED = "unjudged"
    """One of the two samples has no score."""
    ONLY_BASELINE = "only_baseline"
    ONLY_JOB = "only_job"


CHANGES = tuple(Change)
NO_ROW = -1

Hashes = Callable[[SampleIndex, int], Iterator[int]]
"""Yields hashes of a sample's content, each of which may tell its document."""
Test = Callable[["_Matching", int, int], bool]
"""Whether two samples may be paired."""


@dataclass(frozen=True)
class SamplePairs:
    """Pairs of samples, sorted by change and then by their order in the files: the number of the
    change in CHANGES; the rows in both indexes, NO_ROW where a job has no such document; and
    whether they were paired by content."""

    changes: "array[int]"
    baseline_rows: "array[int]"
    job_rows: "array[int]"
    by_content: "array[int]"

    def __len__(self) -> int:
        return len(self.changes)

    @property
    def counts(self) -> dict[Change, int]:
        """The number of pairs of each change."""
        found = Counter(self.changes)
        return {change: found[number] for number, change in enumerate(CHANGES)}


def pair_samples(
    baseline: SampleIndex, job: SampleIndex, *, same_harness: bool, is_binary: bool
) -> SamplePairs:
    """Pair the samples of two files. ``is_binary``: each score is 1 (right), 0 (wrong), or NaN."""
    matching = _Matching(baseline, job)
    if same_harness:
        matching.by_id(_is_same_document)
        for hashes in (_document_hash, _question_with_target, _question):
            matching.by_content(hashes, _has_no_other_target)
    else:
        # Harnesses write the same target differently: a number, a letter, a whole solution.
        for hashes in (_question_with_target, _question):
            matching.by_content(hashes, _is_any)
        matching.by_id(_has_same_content)
    return _sort(matching, is_binary=is_binary)


class _Matching:
    """Which row of the job is the same document as a row of the baseline."""

    def __init__(self, baseline: SampleIndex, job: SampleIndex) -> None:
        self.baseline, self.job = baseline, job
        self.partners = array("l", [NO_ROW]) * len(baseline)
        self.is_taken = bytearray(len(job))
        self.is_by_content = bytearray(len(baseline))

    def by_id(self, may_pair: Test) -> None:
        """Pair free rows with the same id."""
        rows = {self.job.ids[row]: row for row in self._free_of_job()}
        for row in self._free_of_baseline():
            found = rows.get(self.baseline.ids[row], NO_ROW)
            if found != NO_ROW and may_pair(self, row, found):
                self._pair(row, found)

    def by_content(self, hashes: Hashes, may_pair: Test) -> None:
        """Pair free rows that share a hash which no other free row of either file has."""
        rows = _unique(self.job, self._free_of_job(), hashes)
        own = _unique(self.baseline, self._free_of_baseline(), hashes)
        for key, row in own.items():
            found = rows.get(key, NO_ROW)
            if NO_ROW in (row, found) or self.partners[row] != NO_ROW or self.is_taken[found]:
                continue
            if may_pair(self, row, found):
                self._pair(row, found)
                self.is_by_content[row] = True

    def _pair(self, row: int, found: int) -> None:
        self.partners[row] = found
        self.is_taken[found] = True

    def _free_of_baseline(self) -> Iterator[int]:
        return (row for row, partner in enumerate(self.partners) if partner == NO_ROW)

    def _free_of_job(self) -> Iterator[int]:
        return (row for row, taken in enumerate(self.is_taken) if not taken)


def _unique(index: SampleIndex, rows: Iterator[int], hashes: Hashes) -> dict[int, int]:
    """Return the row of each hash; NO_ROW for one that several rows have."""
    found: dict[int, int] = {}
    for row in rows:
        for key in hashes(index, row):
            found[key] = row if found.get(key, row) == row else NO_ROW
    return found


def _document_hash(index: SampleIndex, row: int) -> Iterator[int]:
    if index.documents[row] != NONE:
        yield hash_of(index.documents[row], index.targets[row])


def _question_with_target(index: SampleIndex, row: int) -> Iterator[int]:
    if index.targets[row] != NONE:
        yield from (hash_of(each, index.targets[row]) for each in index.questions_of(row))


def _question(index: SampleIndex, row: int) -> Iterator[int]:
    yield from index.questions_of(row)


def _is_same_document(matching: _Matching, row: int, found: int) -> bool:
    """Whether nothing in two samples of one harness with the same id says that their documents
    differ. Prompts may differ by their few-shot examples or template."""
    baseline, job = matching.baseline, matching.job
    has_no_other_target = _has_no_other_target(matching, row, found)
    documents = {baseline.documents[row], job.documents[found]}
    if NONE not in documents:
        return len(documents) == 1 and has_no_other_target
    questions, others = baseline.questions_of(row), job.questions_of(found)
    if questions and others and questions.isdisjoint(others):
        return _has_same_target(matching, row, found)
    return has_no_other_target


def _has_same_content(matching: _Matching, row: int, found: int) -> bool:
    """Whether two samples with the same id have a question and the target in common."""
    questions, others = matching.baseline.questions_of(row), matching.job.questions_of(found)
    return _has_same_target(matching, row, found) and not questions.isdisjoint(others)


def _has_same_target(matching: _Matching, row: int, found: int) -> bool:
    return matching.baseline.targets[row] == matching.job.targets[found] != NONE


def _has_no_other_target(matching: _Matching, row: int, found: int) -> bool:
    return len({matching.baseline.targets[row], matching.job.targets[found]} - {NONE}) < 2


def _is_any(_matching: _Matching, _row: int, _found: int) -> bool:
    return True


def _sort(matching: _Matching, *, is_binary: bool) -> SamplePairs:
    rows = list(_all_rows(matching))
    kinds = [_change(matching, *pair, is_binary=is_binary) for pair in rows]
    order = sorted(range(len(rows)), key=kinds.__getitem__)
    return SamplePairs(
        changes=array("b", [kinds[at] for at in order]),
        baseline_rows=array("l", [rows[at][0] for at in order]),
        job_rows=array("l", [rows[at][1] for at in order]),
        by_content=array("b", [_is_by_content(matching, rows[at][0]) for at in order]),
    )


def _all_rows(matching: _Matching) -> Iterator[tuple[int, int]]:
    yield from enumerate(matching.partners)
    yield from ((NO_ROW, row) for row, taken in enumerate(matching.is_taken) if not taken)


def _is_by_content(matching: _Matching, row: int) -> bool:
    return row != NO_ROW and bool(matching.is_by_content[row])


def _change(matching: _Matching, row: int, found: int, *, is_binary: bool) -> int:
    if found == NO_ROW:
        return CHANGES.index(Change.ONLY_BASELINE)
    if row == NO_ROW:
        return CHANGES.index(Change.ONLY_JOB)
    before, after = matching.baseline.scores[row], matching.job.scores[found]
    return CHANGES.index(classify(before, after, is_binary=is_binary))


def classify(before: float, after: float, *, is_binary: bool) -> Change:
    """Return what became of a document with these scores; NaN is none."""
    if math.isnan(before) or math.isnan(after):
        return Change.UNJUDGED
    kinds: Sequence[Change] = (Change.LOWER, Change.HIGHER, Change.EQUAL, Change.EQUAL)
    if is_binary:
        kinds = (
            Change.RIGHT_TO_WRONG, Change.WRONG_TO_RIGHT, Change.BOTH_WRONG, Change.BOTH_RIGHT,
        )  # fmt: skip
    if before != after:
        return kinds[before < after]
    return kinds[2 + (after > 0)]
