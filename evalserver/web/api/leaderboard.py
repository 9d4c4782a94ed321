"""``GET /leaderboard``: models by tasks, with errors, and who does not differ from the best."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from aiohttp import hdrs, web
from marshmallow import ValidationError, fields, validate, validates_schema

from evalserver.analysis.comparison import ALPHA, FORMULAS, Difference
from evalserver.analysis.holm import CORRECTION
from evalserver.analysis.significance import TESTS
from evalserver.core.request import MAX_STEP
from evalserver.store import MAX_LEADERBOARD_JOBS, Considered
from evalserver.web.api.known_differences import Pair
from evalserver.web.api.leaderboard_board import Board, Column, make_board
from evalserver.web.api.leaderboard_entries import Selection, differing_arguments, select
from evalserver.web.api.leaderboard_formats import csv_table, markdown_table
from evalserver.web.api.leaderboard_tests import MAX_READ_BYTES, find_all
from evalserver.web.api.leaderboard_warnings import find_warnings
from evalserver.web.http.responses import json_response
from evalserver.web.keys import QUERY, STORE
from evalserver.web.schemas.compare_responses import formula_json, formulas_json
from evalserver.web.schemas.fields import JsonSchema, Strict, Text, about
from evalserver.web.schemas.queries import StrictSchema
from evalserver.web.schemas.query_fields import Label, QueryBoolean, QueryInteger

MAX_ENTRIES, DEFAULT_ENTRIES = 200, 50
MAX_NAMES = 50
"""Tasks, series and labels that a query may name."""
FORMATS = {"csv": "text/csv", "markdown": "text/markdown"}


class SampleLimit(Strict[float | None]):
    """The ``limit`` of a request: a number of documents, a fraction of them, or ``all``."""

    NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")

    def json_schema(self) -> JsonSchema:
        """The pattern."""
        return {"type": "string", "pattern": f"^(all|{self.NUMBER.pattern})$"}

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> float | None:
        if value == "all":
            return None
        if not self.NUMBER.fullmatch(value):
            raise ValidationError("Must be a number of documents, a fraction of them, or all.")
        return float(value)


def _names(text: fields.Field[Any], description: str) -> fields.List[Any]:
    return fields.List(
        text,
        load_default=[],
        validate=validate.Length(max=MAX_NAMES, error="Must be given at most {max} times."),
        metadata=about(description),
    )


def _choice(values: tuple[str, ...], description: str, **kwargs: Any) -> fields.String:
    return fields.String(
        validate=validate.OneOf(values, error=f"Must be one of {', '.join(values)}."),
        metadata=about(description),
        **kwargs,
    )


class LeaderboardQuerySchema(StrictSchema):
    """The query of ``GET /leaderboard``."""

    by = _choice(("model", "series"), "Whether a row is a model or a series.", load_default="model")
    pick = _choice(
        ("latest", "best", "step"),
        "Which job of a row counts in a column: the latest (of a series: that of the"
        " highest step), that with the best value, or that of `step`.",
        load_default="latest",
    )
    step = QueryInteger(0, MAX_STEP, metadata=about("The step of the checkpoints that count."))
    task = _names(Text(longest=256), "A task, or a pattern such as `mmlu_*`; default: all.")
    metric = Text(
        longest=256,
        metadata=about("A metric or a pattern; default: the one of a task that most rows have."),
    )
    filter = Text(longest=256, metadata=about("A filter of the harness, or a pattern."))
    series = _names(Text(longest=512), "Only jobs of these series.")
    label = _names(Label(), "`name=text`; if given several times, all must match.")
    engine = Text(longest=64, metadata=about("Only jobs of this engine."))
    limit = SampleLimit(
        metadata=about("Only jobs whose request has this `limit` of documents; `all`: none.")
    )
    paired = QueryBoolean(
        metadata=about("Whether to read samples, to test document by document; default: yes."),
    )
    top = QueryInteger(
        1,
        MAX_ENTRIES,
        load_default=DEFAULT_ENTRIES,
        metadata=about(f"Maximum number of rows, by default {DEFAULT_ENTRIES}."),
    )
    format = _choice(
        ("json", "csv", "markdown"),
        "Default: what `Accept` names, or else JSON. CSV has a line for each number.",
    )

    @validates_schema
    def _check_step(self, data: Mapping[str, Any], **_kwargs: Any) -> None:
        if (data.get("pick") == "step") != ("step" in data):
            raise ValidationError("Must be given with pick=step, and only then.", "step")


async def get_leaderboard(request: web.Request) -> web.Response:
    """``GET /leaderboard``: the number that counts of each model, for each task.

    Of the newest completed jobs, also pruned ones. Numbers of different engines, limits, task
    versions, numbers of examples or harness options are in different columns. In each column the
    entries that are not shown to differ from the best are marked: document by document where both
    have samples, else by their standard errors, after Holm's correction for their number.
    """
    body = await _find(request)
    kind = request[QUERY].get("format") or _accepted(request)
    if kind == "json":
        return await asyncio.to_thread(json_response, body)
    text = await asyncio.to_thread(csv_table if kind == "csv" else markdown_table, body)
    return web.Response(text=text, content_type=FORMATS[kind], charset="utf-8")


def _accepted(request: web.Request) -> str:
    accept = ",".join(request.headers.getall(hdrs.ACCEPT, []))
    return next((kind for kind, media_type in FORMATS.items() if media_type in accept), "json")


async def _find(request: web.Request) -> dict[str, Any]:
    query, queries = request[QUERY], request.app[STORE].leaderboard
    considered = await queries.considered(query["series"])
    selection = await asyncio.to_thread(select, considered.jobs, query)
    numbers = await queries.numbers(
        selection.candidates, query["task"], best=query["pick"] == "best"
    )
    board = await asyncio.to_thread(make_board, numbers, selection, query)
    shown = set(board.order[: query["top"]])
    pairs = [
        (column, entry, Pair(column.numbers[column.best[0]], number))
        for column in board.columns
        if column.best
        for entry, number in column.numbers.items()
        if entry in shown and entry != column.best[0]
    ]
    differences = await find_all(
        request, [pair for *_, pair in pairs], read_samples=query.get("paired", True)
    )
    by_column: dict[int, dict[int, Difference]] = {}
    for (column, entry, _), difference in zip(pairs, differences, strict=True):
        by_column.setdefault(id(column), {})[entry] = difference
    for column in board.columns:
        column.judge(by_column.get(id(column), {}))
    return await asyncio.to_thread(_body, query, considered, selection, board)


def _body(
    query: Mapping[str, Any], considered: Considered, selection: Selection, board: Board
) -> dict[str, Any]:
    order = board.order[: query["top"]]
    arguments = differing_arguments([selection.entries[entry] for entry in order])
    methods = [
        standing.difference.method
        for column in board.columns
        for standing in column.standings.values()
        if standing.difference is not None
    ]
    return {
        "by": query["by"],
        "pick": query["pick"],
        "step": query.get("step"),
        "considered": {
            "jobs": len(selection.candidates),
            "newest": MAX_LEADERBOARD_JOBS,
            "older_left_out": considered.has_older,
        },
        "columns": [_column_json(column, selection) for column in board.columns],
        "columns_left_out": board.columns_left_out,
        "entries": [
            _entry_json(entry, told, selection, board)
            for entry, told in zip(order, arguments, strict=True)
        ],
        "entries_left_out": len(board.order) - len(order),
        "mean_of": [] if board.why_no_means else [column.task for column in board.columns],
        "why_no_mean": board.why_no_means,
        "tests": {
            "significance_level": ALPHA,
            "max_read_bytes": MAX_READ_BYTES,
            **{name.value: methods.count(name) for name in FORMULAS},
        },
        "warnings": list(find_warnings(considered, board)),
        "methods": formulas_json(FORMULAS),
        "test_formulas": formulas_json(TESTS),
        "correction": formula_json(CORRECTION),
    }


def _column_json(column: Column, selection: Selection) -> dict[str, Any]:
    settings, task, version, shots = column.kind
    way = selection.settings[settings]
    return {
        "task": task,
        "metric": column.metric,
        "filter": column.filter,
        "higher_is_better": column.higher_is_better,
        "engine": way.engine,
        "limit": way.limit,
        "num_fewshot": shots,
        "task_version": version,
        "harness_args": way.harness_args,
        "documents": sorted({each.n for each in column.metrics.values() if each.n is not None}),
        "entries": len(column.numbers),
        "other_metrics": [
            {"metric": metric, "filter": kind} for metric, kind in sorted(column.others)
        ],
    }


def _entry_json(
    entry: int, arguments: Mapping[str, Any], selection: Selection, board: Board
) -> dict[str, Any]:
    mean = board.means.get(entry)
    return {
        "name": selection.entries[entry].name,
        "arguments": arguments,
        "mean": mean
        and {
            "value": mean.value,
            "stderr": mean.stderr,
            "columns": mean.columns,
            "missing": [board.columns[at].task for at in mean.missing],
        },
        "cells": [_cell_json(column, entry, selection) for column in board.columns],
    }


def _cell_json(column: Column, entry: int, selection: Selection) -> dict[str, Any] | None:
    number = column.numbers.get(entry)
    if number is None:
        return None
    job, standing = selection.jobs[number.job_id], column.standings[entry]
    return {
        "job_id": number.job_id,
        "series": job.series,
        "step": job.step,
        "completed_at": job.completed_at,
        "pruned": job.pruned,
        "jobs": number.jobs,
        "value": number.metric.value,
        "stderr": number.metric.stderr,
        "n": number.metric.n,
        "best": standing.is_best,
        "differs": standing.differs,
        "difference": standing.difference and asdict(standing.difference),
    }
