"""Listing finished jobs in the order in which they finished, for clients that collect each once.

A page is one statement, so it is consistent. Jobs that finish later have larger numbers, so the
next page starts at the last number of this one, however much later it is requested.
"""

from evalserver.core.job import Job
from evalserver.store.criteria import TEST_OF_TIMES, JobFilter, criteria_of
from evalserver.store.job_rows import RECORD, job_of
from evalserver.store.listing import JOBS_AT_ONCE, MAX_PAGE_BYTES, Page, size_of
from evalserver.store.readers import Readers
from evalserver.store.search import with_search
from evalserver.store.transaction import Row


async def finished_page(readers: Readers, wanted: JobFilter, most: int, after: int) -> Page:
    """The first ``most`` wanted jobs that finished with an event after ``after``.

    A page of large records may have fewer, with more to follow.
    """
    wanted = await with_search(readers, wanted)
    rows: list[Row] = []
    more = True
    while more and len(rows) < most and sum(map(size_of, rows)) < MAX_PAGE_BYTES:
        few = min(JOBS_AT_ONCE, most - len(rows))
        found = await _rows(readers, wanted, few + 1, after)
        more = len(found) > few
        rows += found[:few]
        after = rows[-1]["finish_number"] if rows else after
    return Page([job_of(row) for row in rows], after if more else None)


async def last_finished(readers: Readers, most: int) -> list[Job]:
    """The ``most`` jobs that finished last, the last one first."""
    rows = await readers.fetch(
        f"{RECORD} INDEXED BY jobs_finished WHERE finish_number > 0"
        " ORDER BY finish_number DESC LIMIT :most",
        {"most": most},
    )
    return [job_of(row) for row in rows]


async def _rows(readers: Readers, wanted: JobFilter, most: int, after: int) -> list[Row]:
    tests = [criterion.test for criterion in criteria_of(wanted)]
    parameters: dict[str, object] = {"finished_after": after, "most": most}
    for criterion in criteria_of(wanted):
        parameters |= criterion.parameters
    if wanted.has_times:
        tests.append(TEST_OF_TIMES)
        parameters |= wanted.times
    also = "".join(f" AND {test}" for test in tests)
    return await readers.fetch(
        f"{RECORD} WHERE seq IN (SELECT seq FROM jobs AS found INDEXED BY jobs_finished"  # noqa: S608
        f" WHERE finish_number > :finished_after{also} ORDER BY finish_number LIMIT :most)"
        " ORDER BY finish_number",
        parameters,
    )
