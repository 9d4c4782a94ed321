"""Listing jobs: the newest submission first, page by page.

The rarest criterion of a filter selects candidates, and the others are tested for each. So the cost
of a page depends on its rarest criterion, however many jobs there are.
"""

from dataclasses import dataclass

from evalserver.core.job import Job
from evalserver.store.criteria import (
    ALL_JOBS,
    TEST_OF_TIMES,
    Criterion,
    JobFilter,
    criteria_of,
)
from evalserver.store.job_rows import RECORD, job_of
from evalserver.store.json_text import json_text
from evalserver.store.readers import Readers
from evalserver.store.search import with_search
from evalserver.store.transaction import Row

NEWEST = 2**63 - 1
"""A seq after those of all jobs: where the first page begins."""

SUBMISSIONS_OF_A_SPAN = 512
"""How many submissions share a row of ``job_spans``."""

MAX_COUNTED = 1000
"""Criteria that match more jobs than this are treated as equally common."""

JOBS_AT_ONCE = 25
MAX_PAGE_BYTES = 4 * 1024 * 1024
"""A page ends early when its records have more characters than this, to bound its memory."""

LARGE_COLUMNS = ("request", "labels", "result", "error", "provenance")
"""The columns of a record that may be large."""


@dataclass(frozen=True)
class Page:
    """Some jobs, and where the next page begins; None at the end.

    In the order of submission, newest first, that is the seq before which it begins; in the order
    of finishing, the event after which it begins.
    """

    jobs: list[Job]
    next: int | None


@dataclass(frozen=True)
class SeqRange:
    """The range of submissions to consider: seqs, both ends included."""

    low: int
    high: int


async def page(readers: Readers, wanted: JobFilter, most: int, before: int) -> Page:
    """The newest ``most`` wanted jobs that were submitted before the one of seq ``before``.

    A page of large records may have fewer, with more to follow.
    """
    wanted = await with_search(readers, wanted)
    seq_range = await seq_range_of(readers, wanted, before)
    seqs = await _find(readers, wanted, seq_range, most + 1)
    jobs, read = await read_jobs(readers, wanted, seqs[:most])
    return Page(jobs, seqs[read - 1] if read < len(seqs) else None)


async def seq_range_of(readers: Readers, wanted: JobFilter, before: int) -> SeqRange:
    """The range of the wanted times, in whole spans: the times still have to be tested."""
    if not wanted.has_times:
        return SeqRange(0, before - 1)
    rows = await readers.fetch(
        "SELECT min(span) AS first, max(span) AS last FROM job_spans"
        " WHERE latest >= :after AND earliest < :before",
        wanted.times,
    )
    first, last = rows[0]["first"], rows[0]["last"]
    if first is None:
        return SeqRange(0, -1)
    end = (last + 1) * SUBMISSIONS_OF_A_SPAN
    return SeqRange(first * SUBMISSIONS_OF_A_SPAN, min(end, before) - 1)


async def _find(readers: Readers, wanted: JobFilter, seq_range: SeqRange, most: int) -> list[int]:
    """The seq of each wanted job, the newest first."""
    leading, *others = await _rarest_first(readers, list(criteria_of(wanted)), seq_range)
    tests = [criterion.test for criterion in others]
    parameters = {**_parameters([leading, *others], seq_range), "most": most}
    if wanted.has_times:
        tests.append(TEST_OF_TIMES)
        parameters |= wanted.times
    rows = await readers.fetch(leading.newest(tests), parameters)
    return [row["seq"] for row in rows]


async def _rarest_first(
    readers: Readers, criteria: list[Criterion], seq_range: SeqRange
) -> list[Criterion]:
    if len(criteria) < 2:
        return criteria or [ALL_JOBS]
    return [criterion for _, criterion in await counted(readers, criteria, seq_range)]


async def counted(
    readers: Readers, criteria: list[Criterion], seq_range: SeqRange
) -> list[tuple[int, Criterion]]:
    """How many jobs match each criterion, up to a limit; the rarest first."""
    if not criteria:
        return []
    counts = ", ".join(criterion.count for criterion in criteria)
    parameters = {**_parameters(criteria, seq_range), "most": MAX_COUNTED}
    [row] = await readers.fetch(f"SELECT {counts}", parameters)
    return sorted(zip(row, criteria, strict=True), key=lambda pair: pair[0])


async def read_jobs(readers: Readers, wanted: JobFilter, seqs: list[int]) -> tuple[list[Job], int]:
    """The records of the jobs, and how many of ``seqs`` they cover.

    A job that has been pruned or has changed its status since it was found is omitted.
    """
    jobs: list[Job] = []
    size = 0
    for start in range(0, len(seqs), JOBS_AT_ONCE):
        some = seqs[start : start + JOBS_AT_ONCE]
        records = await _records(readers, some)
        for number, seq in enumerate(some, start):
            record = records.get(seq)
            if record is None:
                continue
            size += size_of(record)
            if size > MAX_PAGE_BYTES and number > 0:
                return jobs, number
            job = job_of(record)
            if not wanted.statuses or job.status in wanted.statuses:
                jobs.append(job)
    return jobs, len(seqs)


async def _records(readers: Readers, seqs: list[int]) -> dict[int, Row]:
    rows = await readers.fetch(
        f"{RECORD} WHERE seq IN (SELECT value FROM json_each(:seqs))",  # noqa: S608
        {"seqs": json_text(seqs)},
    )
    return {row["seq"]: row for row in rows}


def size_of(record: Row) -> int:
    """The approximate number of characters in a record."""
    return sum(len(record[column] or "") for column in LARGE_COLUMNS)


def _parameters(criteria: list[Criterion], seq_range: SeqRange) -> dict[str, object]:
    parameters: dict[str, object] = {"low": seq_range.low, "high": seq_range.high}
    for criterion in criteria:
        parameters |= criterion.parameters
    return parameters
