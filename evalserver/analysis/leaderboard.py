"""Leaderboards: which entries are best at each task, and which are not shown to differ from these.

Pure functions. A column is a task's metric under one filter, evaluated in one way: numbers of
evaluations in different ways are never in one column.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from evalserver.analysis.comparison import ALPHA, Difference
from evalserver.analysis.fractions import is_fraction
from evalserver.analysis.holm import adjust_p_values
from evalserver.core.job import Metric

Entry = TypeVar("Entry")

MIN_COLUMNS_OF_MEAN = 2


@dataclass(frozen=True)
class Standing:
    """An entry's place in a column.

    ``is_best``: none has a better value. ``differs``: whether it is worse than the best by more
    than chance explains, of all entries of the column together (Holm); None if that is unknown.
    ``difference`` is its value minus that of the best.
    """

    is_best: bool
    differs: bool | None = None
    difference: Difference | None = None


@dataclass(frozen=True)
class Mean:
    """The mean of an entry over the columns that it has; ``stderr`` is None if one is unknown.
    ``missing`` are the other columns: means over different columns cannot be compared."""

    value: float
    stderr: float | None
    columns: int
    missing: tuple[int, ...]


def find_best(values: Mapping[Entry, Metric]) -> list[Entry]:
    """Return the entries of a column with the best value; none if no direction is known."""
    directions = {metric.higher_is_better for metric in values.values()}
    if directions not in ({True}, {False}):
        return []
    choose = max if True in directions else min
    best = choose(metric.value for metric in values.values())
    return [entry for entry, metric in values.items() if metric.value == best]


def judge(
    values: Mapping[Entry, Metric], best: Sequence[Entry], differences: Mapping[Entry, Difference]
) -> dict[Entry, Standing]:
    """Return the standing of each entry of a column, given the differences from the first of the
    best. Their p-values are corrected for their number."""
    tested = {key: each.p_value for key, each in differences.items() if each.p_value is not None}
    adjusted = dict(zip(tested, adjust_p_values(list(tested.values())), strict=True))
    standings = {}
    for entry in values:
        found = differences.get(entry)
        p_adjusted = adjusted.get(entry)
        if found is not None:
            found = replace(found, p_adjusted=p_adjusted, regressed=None)
        differs = None if p_adjusted is None or entry in best else p_adjusted <= ALPHA
        standings[entry] = Standing(entry in best, differs, found)
    return standings


def why_no_means(columns: Sequence[Sequence[Metric]], tasks: Sequence[str]) -> str | None:
    """Return why no mean over these columns would make sense, or None if it does."""
    if len(columns) < MIN_COLUMNS_OF_MEAN:
        return "a mean needs two tasks or more"
    if len(set(tasks)) < len(tasks):
        return "a task has several columns; choose one by metric, filter, engine or limit"
    if not all(_is_share(metric) for column in columns for metric in column):
        return "not all metrics are shares from 0 to 1 of which more is better"
    return None


def mean_of(values: Sequence[Metric | None]) -> Mean | None:
    """Return the unweighted mean of an entry's values, None where it has none."""
    present = [each for each in values if each is not None]
    if not present:
        return None
    errors = [each.stderr for each in present]
    known = [each for each in errors if each is not None]
    stderr = math.hypot(*known) / len(present) if len(known) == len(present) else None
    missing = tuple(at for at, each in enumerate(values) if each is None)
    return Mean(
        math.fsum(each.value for each in present) / len(present), stderr, len(present), missing
    )


def _is_share(metric: Metric) -> bool:
    if metric.stderr is None or metric.n is None:
        return bool(metric.higher_is_better) and 0 <= metric.value <= 1
    return is_fraction(metric.value, metric.stderr, metric.n, metric.higher_is_better)
