"""The response of ``GET /compare/samples/{task}``: a page of documents, counts and warnings."""

import math
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from itertools import islice
from typing import Any

import orjson

from evalserver.outputs import (
    CHANGES,
    NO_ROW,
    Change,
    InvalidPosition,
    LinePosition,
    LineReader,
    SampleDiff,
    SampleLine,
    ScoresUnavailable,
)
from evalserver.web.api.sample_sides import Side
from evalserver.web.api.samples import find_oddities, invalid_field_error
from evalserver.web.http.cursors import write_cursor
from evalserver.web.http.errors import BadRequest
from evalserver.web.http.responses import dump

MAX_PAGE_BYTES = 8 * 1024 * 1024
"""Of the samples of a page; it ends early when it has more."""
LITTLE_OVERLAP = 0.5
"""A smaller share of the documents of the job that has fewer is worth a warning."""

BY_STATE: Mapping[str, tuple[frozenset[Change], frozenset[Change]]] = {
    "right": (
        frozenset({Change.RIGHT_TO_WRONG, Change.BOTH_RIGHT}),
        frozenset({Change.WRONG_TO_RIGHT, Change.BOTH_RIGHT}),
    ),
    "wrong": (
        frozenset({Change.WRONG_TO_RIGHT, Change.BOTH_WRONG}),
        frozenset({Change.RIGHT_TO_WRONG, Change.BOTH_WRONG}),
    ),
    "missing": (frozenset({Change.ONLY_JOB}), frozenset({Change.ONLY_BASELINE})),
    "any": (frozenset(Change), frozenset(Change)),
}
"""The changes in which the baseline, and the job, is in a state."""


def page_body(
    query: Mapping[str, Any], sides: tuple[Side, Side], diff: SampleDiff, start: int, key: bytes
) -> tuple[bytes, str | None]:
    """Return the body of a response from the document number ``start`` of those that the query
    selects, and the cursor of the next page, which belongs to ``key``. Raises BadRequest."""
    baseline_is, job_is = query["baseline_is"], query["job_is"]
    if not diff.is_binary and {baseline_is, job_is} & {"right", "wrong"}:
        field = "baseline_is" if baseline_is in ("right", "wrong") else "job_is"
        raise invalid_field_error(
            field, f"No metric of {sides[0].task} decides which samples are right."
        )
    wanted = BY_STATE[baseline_is][0] & BY_STATE[job_is][1]
    selected = [at for at, number in enumerate(diff.pairs.changes) if CHANGES[number] in wanted]
    documents, following = _read_page(sides, diff, selected, start, query["limit"])
    cursor = None if following is None else write_cursor(following, key)
    body = {
        "task": sides[0].task,
        "jobs": [_side_json(side, diff, at) for at, side in enumerate(sides)],
        "counts": {change.value: count for change, count in diff.pairs.counts.items()},
        "paired": diff.paired,
        "paired_by_content": diff.paired_by_content,
        "warnings": list(_warnings(sides, diff)),
        "selected": len(selected),
        "documents": documents,
        "next": cursor,
    }
    return dump(body), cursor


def _read_page(
    sides: tuple[Side, Side], diff: SampleDiff, selected: list[int], start: int, limit: int
) -> tuple[list[dict[str, Any]], int | None]:
    """Return the documents of a page, and the number of the first one of the next page."""
    documents: list[dict[str, Any]] = []
    size = 0
    try:
        with sides[0].opened() as baseline_file, sides[1].opened() as job_file:
            for at in islice(selected, start, start + limit):
                rows = (diff.pairs.baseline_rows[at], diff.pairs.job_rows[at])
                lines = [
                    None if row == NO_ROW else _read_line(file, diff, side, row)
                    for side, (row, file) in enumerate(
                        zip(rows, (baseline_file, job_file), strict=True)
                    )
                ]
                documents.append(_document_json(diff, at, rows, lines))
                size += sum(len(line.text or b"") for line in lines if line is not None)
                if size > MAX_PAGE_BYTES:
                    break
    except (ScoresUnavailable, InvalidPosition):
        raise BadRequest(
            HTTPStatus.CONFLICT, "The samples were changed while they were read; start again"
        ) from None
    end = start + len(documents)
    return documents, end if end < len(selected) else None


def _read_line(file: Any, diff: SampleDiff, side: int, row: int) -> SampleLine:
    places = diff.places[side]
    place = places.places[row]
    position = LinePosition(place // 2, places.lines[row], bool(place % 2))
    for line in LineReader(file, position):
        return line
    raise InvalidPosition


def _document_json(
    diff: SampleDiff, at: int, rows: tuple[int, int], lines: list[SampleLine | None]
) -> dict[str, Any]:
    by = "content" if diff.pairs.by_content[at] else "id"
    shown = [_sample_json(diff, side, rows[side], line) for side, line in enumerate(lines)]
    return {
        "change": CHANGES[diff.pairs.changes[at]],
        "paired_by": None if NO_ROW in rows else by,
        "baseline": shown[0],
        "job": shown[1],
    }


def _sample_json(
    diff: SampleDiff, side: int, row: int, line: SampleLine | None
) -> dict[str, Any] | None:
    if line is None:
        return None
    score = diff.places[side].scores[row]
    known = None if math.isnan(score) else score
    return {
        "index": line.index,
        "doc_id": line.doc_id,
        "right": bool(known) if diff.is_binary and known is not None else None,
        "score": known,
        "problem": line.problem,
        # Exactly as the harness wrote it.
        "sample": None if line.text is None else orjson.Fragment(line.text),
    }


def _side_json(side: Side, diff: SampleDiff, at: int) -> dict[str, Any]:
    judge, places = diff.judges[at], diff.places[at]
    return {
        "job_id": side.job.job_id,
        "attempt": side.job.attempt,
        "engine": side.job.engine,
        "model": side.job.request.model,
        "task": side.task,
        "metric": judge.metric,
        "filter": judge.filter,
        "samples": len(places.places),
        "unreadable": places.unreadable,
    }


def _warnings(sides: tuple[Side, Side], diff: SampleDiff) -> Iterator[str]:
    """Yield what a reader should know before believing the differences."""
    sizes, paired = [len(each.places) for each in diff.places], diff.paired
    if paired == 0:
        yield (
            "The two jobs have no document in common. Are these the same task and the same part of"
            " its data?"
        )
    elif paired < LITTLE_OVERLAP * min(sizes):
        yield (
            f"The two jobs have only {paired} documents in common, of {sizes[0]} and {sizes[1]}:"
            " most documents are of one job alone"
        )
    first, second = diff.judges
    if (first.metric, first.filter) != (second.metric, second.filter):
        yield (
            f"The jobs are judged by different metrics or filters: {first.metric} ({first.filter})"
            f" and {second.metric} ({second.filter})"
        )
    for side, places in zip(sides, diff.places, strict=True):
        if places.unreadable:
            yield (
                f"{places.unreadable} lines of the samples of job {side.job.job_id} cannot be read"
            )
        for finding in find_oddities(side.job, side.task):
            yield f"Job {side.job.job_id}: {finding['message']}"
