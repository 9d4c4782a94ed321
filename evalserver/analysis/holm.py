"""Which of many metrics regressed: p-values corrected for their number, after Holm."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from evalserver.analysis.comparison import ALPHA, Difference

Key = TypeVar("Key")

CORRECTION = (
    "Holm: of m p-values in ascending order, the adjusted p of the i-th is the largest of"
    " (m - j + 1) p_j for j up to i, at most 1; the m are all metrics of a job that were tested",
    "Holm 1979, A Simple Sequentially Rejective Multiple Test Procedure, "
    "https://www.jstor.org/stable/4615733",
)
"""The formula and its source."""


def adjust_p_values(p_values: Sequence[float]) -> list[float]:
    """Return the p-values adjusted for their number, in the same order.

    If those of at most 0.05 are taken for real, the probability that any of them is due to chance
    is at most 0.05, however the metrics depend on each other.
    """
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    ascending = sorted(range(len(p_values)), key=p_values.__getitem__)
    for rank, index in enumerate(ascending):
        largest = max(largest, (len(p_values) - rank) * p_values[index])
        adjusted[index] = min(1.0, largest)
    return adjusted


def find_regressions(differences: Mapping[Key, Difference]) -> dict[Key, Difference]:
    """Return a job's differences, with adjusted p-values, and whether each metric regressed."""
    tested = {key: each.p_value for key, each in differences.items() if each.p_value is not None}
    adjusted = dict(zip(tested, adjust_p_values(list(tested.values())), strict=True))
    return {
        key: replace(
            each, p_adjusted=adjusted.get(key), regressed=_regressed(each, adjusted.get(key))
        )
        for key, each in differences.items()
    }


def _regressed(difference: Difference, p_adjusted: float | None) -> bool | None:
    if p_adjusted is None:
        return None
    if p_adjusted > ALPHA or difference.value == 0:
        return False
    return None if difference.improved is None else not difference.improved
