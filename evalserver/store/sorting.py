"""Listing jobs in an order other than that of submission, page by page.

Every order has an index. It is walked until the page is full; if the filter matches few jobs, these
are collected and sorted instead. So a page is cheap however many jobs there are, unless its filter
has several criteria that many jobs match each, but almost none matches all.
"""

from dataclasses import dataclass
from enum import StrEnum

from evalserver.core.job import Job
from evalserver.store.criteria import TEST_OF_TIMES, Criterion, JobFilter, criteria_of
from evalserver.store.listing import (
    MAX_COUNTED,
    NEWEST,
    SeqRange,
    counted,
    read_jobs,
    seq_range_of,
)
from evalserver.store.readers import Readers
from evalserver.store.search import with_search
from evalserver.store.transaction import Row


class SortKey(StrEnum):
    """The keys by which jobs can be sorted."""

    CREATED_AT = "created_at"
    STARTED_AT = "started_at"
    COMPLETED_AT = "completed_at"
    DURATION = "duration"
    PRIORITY = "priority"
    STATUS = "status"
    MODEL = "model"
    STEP = "step"


TIME_TAKEN = (
    "CAST(round((julianday(found.completed_at) - julianday(found.started_at)) * 86400000)"
    " AS INTEGER)"
)
"""Milliseconds; written as in the index."""
HAS_ENDED = "found.completed_at IS NOT NULL"
"""The condition of the index of the time taken."""

PLACES = {
    SortKey.CREATED_AT: ("found.seq", "NOT INDEXED"),
    SortKey.STARTED_AT: ("found.started_at", "INDEXED BY jobs_by_start"),
    SortKey.COMPLETED_AT: ("found.completed_at", "INDEXED BY jobs_by_end"),
    SortKey.DURATION: (TIME_TAKEN, "INDEXED BY jobs_by_time_taken"),
    SortKey.PRIORITY: ("found.priority", "INDEXED BY jobs_by_priority"),
    SortKey.STATUS: ("found.status", "INDEXED BY jobs_by_status"),
    SortKey.MODEL: ("found.model_title", "INDEXED BY jobs_by_model_title"),
    SortKey.STEP: ("found.step", "INDEXED BY jobs_by_step"),
}
"""What each is in a row ``found`` of jobs, and its index."""


WALKED = "jobs AS found {}"


@dataclass(frozen=True)
class Order:
    """A sort key and direction. Jobs without a value come last in both directions; equal jobs are
    in the order of submission, reversed if ``descending``."""

    key: SortKey
    descending: bool = False


@dataclass(frozen=True)
class Place:
    """A job's place in an order: its value, and its seq."""

    value: str | int | None
    seq: int


@dataclass(frozen=True)
class SortedPage:
    """Some jobs, and the place after which the next page begins; None at the end."""

    jobs: list[Job]
    next: Place | None


async def sorted_page(
    readers: Readers, wanted: JobFilter, most: int, order: Order, after: Place | None
) -> SortedPage:
    """The first ``most`` wanted jobs in this order after the place ``after``.

    A page of large records may have fewer, with more to follow. A job whose value changes between
    two pages may be in both, or in neither.
    """
    wanted = await with_search(readers, wanted)
    seq_range = await seq_range_of(readers, wanted, NEWEST)
    found = await _find(readers, wanted, seq_range, most + 1, order, after)
    jobs, read = await read_jobs(readers, wanted, [row["seq"] for row in found[:most]])
    if read == len(found):
        return SortedPage(jobs, None)
    last = found[read - 1]
    return SortedPage(jobs, Place(last["value"], last["seq"]))


async def _find(
    readers: Readers,
    wanted: JobFilter,
    seq_range: SeqRange,
    most: int,
    order: Order,
    after: Place | None,
) -> list[Row]:
    """Seq and value of each wanted job, in their order."""
    source, tests, parameters = await _candidates(readers, wanted, seq_range, order)
    if after is not None:
        parameters |= {"value": after.value, "seq": after.seq}
    column, index = PLACES[order.key]
    direction = "DESC" if order.descending else "ASC"
    without = f"{column} IS NULL"
    found: list[Row] = []
    for part in _parts(column, order, after):
        # SQLite does not recognize by itself that jobs of one value are in order in their index.
        of_range = "" if part.startswith((f"{column} = ", without)) else f"{column} {direction}, "
        conditions = " AND ".join([part, "found.seq BETWEEN :low AND :high", *tests])
        # Jobs without a value are not in the value's index, and are ordered by submission alone.
        is_walked = source.endswith(index) and part.startswith(without)
        place = WALKED.format("NOT INDEXED") if is_walked else source
        found += await readers.fetch(
            f"SELECT found.seq AS seq, {column} AS value FROM {place}"  # noqa: S608
            f" WHERE {conditions}"
            f" ORDER BY {of_range}found.seq {direction} LIMIT :most",
            {**parameters, "most": most - len(found)},
        )
        if len(found) == most:
            break
    return found


async def _candidates(
    readers: Readers, wanted: JobFilter, seq_range: SeqRange, order: Order
) -> tuple[str, list[str], dict[str, object]]:
    """The source of candidates, the tests for each, and the parameters of both."""
    criteria = list(criteria_of(wanted))
    parameters: dict[str, object] = {"low": seq_range.low, "high": seq_range.high}
    for criterion in criteria:
        parameters |= criterion.parameters
    _, index = PLACES[order.key]
    source = WALKED.format(index)
    pairs = await counted(readers, criteria, seq_range)
    if pairs and pairs[0][0] < MAX_COUNTED:
        source = _gathered(pairs[0][1])
        pairs = pairs[1:]
    tests = [criterion.of_row or criterion.test for _, criterion in pairs]
    if wanted.has_times:
        tests.append(TEST_OF_TIMES)
        parameters |= wanted.times
    return source, tests, parameters


def _gathered(leading: Criterion) -> str:
    seqs = " UNION ".join(leading.sources)
    return f"({seqs}) AS few CROSS JOIN jobs AS found ON found.seq = few.seq"


def _parts(column: str, order: Order, after: Place | None) -> list[str]:
    """The jobs after a place, in parts that are each one range of the column's index."""
    behind = "<" if order.descending else ">"
    without = f"{column} IS NULL"
    if after is None:
        # In an index of an expression, SQLite does not skip jobs without a value by itself.
        present = f"{HAS_ENDED} AND {column} > {-(2**63)}"
        return [present if column == TIME_TAKEN else f"{column} IS NOT NULL", without]
    if after.value is None:
        return [f"{without} AND found.seq {behind} :seq"]
    has_value = f" AND {HAS_ENDED}" if column == TIME_TAKEN else ""
    return [
        f"{column} = :value{has_value} AND found.seq {behind} :seq",
        f"{column} {behind} :value{has_value}",
        without,
    ]
