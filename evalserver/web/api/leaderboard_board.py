"""Arranges the numbers that count into the columns and rows of a leaderboard."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from evalserver.analysis.leaderboard import Mean, Standing, find_best, judge, mean_of, why_no_means
from evalserver.core.job import Metric
from evalserver.store import Number
from evalserver.web.api.leaderboard_entries import Selection

MAX_COLUMNS = 60

Kind = tuple[int, str, str | None, int | None]
"""Settings, task, its version and the number of examples in its prompts: one way to evaluate it."""


@dataclass
class Column:
    """A task's metric under one filter, evaluated in one way, and the number of each entry;
    ``others`` are metrics and filters of the same kind that are not shown."""

    kind: Kind
    metric: str
    filter: str
    numbers: dict[int, Number]
    others: list[tuple[str, str]] = field(default_factory=list)
    best: list[int] = field(default_factory=list)
    """The entries with the best value; others are tested against the first of them."""
    standings: Mapping[int, Standing] = field(default_factory=dict)

    @property
    def task(self) -> str:
        """The task."""
        return self.kind[1]

    @property
    def metrics(self) -> dict[int, Metric]:
        """The metric of each entry."""
        return {entry: number.metric for entry, number in self.numbers.items()}

    @property
    def higher_is_better(self) -> bool | None:
        """The direction, if all entries agree on it."""
        directions = {metric.higher_is_better for metric in self.metrics.values()}
        return directions.pop() if len(directions) == 1 else None

    def judge(self, differences: Mapping[int, Any]) -> None:
        """Give each entry its standing, by the differences from the first of the best."""
        self.standings = judge(self.metrics, self.best, differences)


@dataclass
class Board:
    """Columns, the entries in their order, and their means, unless there is a reason against."""

    columns: list[Column]
    columns_left_out: int
    order: list[int] = field(default_factory=list)
    means: dict[int, Mean] = field(default_factory=dict)
    why_no_means: str | None = None


def make_board(numbers: Sequence[Number], selection: Selection, query: Mapping[str, Any]) -> Board:
    """Return the columns with the most entries, and the entries, the best first."""
    columns = _choose_metrics(_all_columns(numbers), query)
    columns.sort(key=lambda each: -len(each.numbers))
    board = Board(columns[:MAX_COLUMNS], len(columns[MAX_COLUMNS:]))
    board.columns.sort(key=lambda each: (each.task, each.metric, each.filter, -len(each.numbers)))
    for column in board.columns:
        column.best = find_best(column.metrics)
    metrics = [list(column.metrics.values()) for column in board.columns]
    board.why_no_means = why_no_means(metrics, [column.task for column in board.columns])
    entries = {entry for column in board.columns for entry in column.numbers}
    if board.why_no_means is None:
        rows = {entry: [_metric(each, entry) for each in board.columns] for entry in entries}
        board.means = {entry: mean for entry, row in rows.items() if (mean := mean_of(row))}
    names = {entry: (selection.entries[entry].name, entry) for entry in entries}
    board.order = sorted(entries, key=lambda entry: (*_rank(board, entry), names[entry]))
    return board


def _metric(column: Column, entry: int) -> Metric | None:
    number = column.numbers.get(entry)
    return None if number is None else number.metric


def _rank(board: Board, entry: int) -> tuple[float, float]:
    """Return what sorts the entries: those with fewer missing numbers first, then by their means,
    by their only value, or by how often they are best."""
    missing = sum(entry not in column.numbers for column in board.columns)
    if entry in board.means:
        return missing, -board.means[entry].value
    if len(board.columns) == 1:
        [column] = board.columns
        value = column.numbers[entry].metric.value
        return missing, value if column.higher_is_better is False else -value
    return missing, -sum(entry in column.best for column in board.columns)


def _all_columns(numbers: Sequence[Number]) -> dict[Kind, dict[tuple[str, str], Column]]:
    found: dict[Kind, dict[tuple[str, str], Column]] = {}
    for number in numbers:
        metric = number.metric
        kind = (number.settings, metric.task, metric.task_version, metric.num_fewshot)
        key = (metric.metric, metric.filter)
        column = found.setdefault(kind, {}).setdefault(key, Column(kind, *key, {}))
        column.numbers[number.entry] = number
    return found


def _choose_metrics(
    found: Mapping[Kind, Mapping[tuple[str, str], Column]], query: Mapping[str, Any]
) -> list[Column]:
    """Return the columns that the query names; without a metric or a filter, of each kind the one
    with a known direction that most entries have."""
    chosen = []
    for columns in found.values():
        possible = [
            column
            for column in columns.values()
            if fnmatchcase(column.metric, query.get("metric", "*"))
            and fnmatchcase(column.filter, query.get("filter", "*"))
        ]
        if possible and not {"metric", "filter"} & query.keys():
            possible.sort(
                key=lambda each: (
                    each.higher_is_better is None,
                    -len(each.numbers),
                    each.metric,
                    each.filter,
                )
            )
            possible = possible[:1]
        for column in possible:
            column.others = [key for key, other in columns.items() if other not in possible]
        chosen += possible
    return chosen
