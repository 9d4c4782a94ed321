"""Leaderboards: the best of each column, who differs from it, and means."""

from typing import Any

import pytest
from statsmodels.stats.multitest import multipletests

from evalserver.analysis.comparison import unpaired_difference
from evalserver.analysis.leaderboard import find_best, judge, mean_of, why_no_means
from evalserver.core.job import Metric


def metric(value: float, stderr: float | None = 0.01, **fields: Any) -> Metric:
    """Return a metric of 100 documents."""
    return Metric(**{
        "task": "t", "metric": "acc", "filter": "none", "value": value, "stderr": stderr, "n": 100,
        "higher_is_better": True, **fields,
    })  # fmt: skip


def test_the_best_has_the_highest_value_or_the_lowest() -> None:
    values = {"a": metric(0.5), "b": metric(0.7), "c": metric(0.7)}
    losses = {key: metric(each.value, higher_is_better=False) for key, each in values.items()}

    assert (find_best(values), find_best(losses)) == (["b", "c"], ["a"])


@pytest.mark.parametrize("direction", [None, "mixed"])
def test_without_a_direction_none_is_best(direction: str | None) -> None:
    second = None if direction is None else False
    values = {"a": metric(0.5, higher_is_better=None if direction is None else True),
              "b": metric(0.7, higher_is_better=second)}  # fmt: skip

    assert find_best(values) == []


def test_entries_differ_from_the_best_after_holms_correction() -> None:
    values = {
        "best": metric(0.7, 0.02),
        **{str(at): metric(0.7 - at / 100, 0.02) for at in range(1, 9)},
    }
    differences = {
        key: unpaired_difference(values["best"], each, "no samples")
        for key, each in values.items()
        if key != "best"
    }

    found = judge(values, ["best"], differences)

    p_values = [each.p_value for each in differences.values()]
    rejected, adjusted, *_ = multipletests(p_values, alpha=0.05, method="holm")
    assert [found[key].differs for key in differences] == list(rejected)
    assert {True, False} == set(rejected)
    assert [found[key].difference.p_adjusted for key in differences] == pytest.approx(adjusted)  # type: ignore[union-attr]


def test_an_entry_without_a_standard_error_may_or_may_not_differ() -> None:
    values = {"best": metric(0.7), "other": metric(0.5, None)}
    differences = {"other": unpaired_difference(values["best"], values["other"], "why")}

    assert judge(values, ["best"], differences)["other"].differs is None


def test_a_mean_says_what_is_missing() -> None:
    found = mean_of([metric(0.5, 0.3), None, metric(0.7, 0.4)])

    assert found is not None
    assert (found.value, found.stderr) == pytest.approx((0.6, 0.25))
    assert (found.columns, found.missing) == (2, (1,))


def test_a_mean_of_nothing_is_none() -> None:
    assert mean_of([None, None]) is None


def test_the_error_of_a_mean_needs_all_errors() -> None:
    found = mean_of([metric(0.5, None), metric(0.7)])

    assert found is not None
    assert found.stderr is None


@pytest.mark.parametrize(
    ("columns", "tasks", "why"),
    [
        ([[metric(0.5)]], ["a"], "two tasks or more"),
        ([[metric(0.5)], [metric(0.6)]], ["a", "a"], "several columns"),
        ([[metric(0.5)], [metric(55.0)]], ["a", "b"], "shares from 0 to 1"),
        ([[metric(0.5)], [metric(0.4, higher_is_better=False)]], ["a", "b"], "shares from 0 to 1"),
    ],
)
def test_a_mean_that_makes_no_sense_is_not_given(
    columns: list[list[Metric]], tasks: list[str], why: str
) -> None:
    assert why in (why_no_means(columns, tasks) or "")


def test_means_of_shares_are_given() -> None:
    assert why_no_means([[metric(0.5, 0.05)], [metric(0.6, None)]], ["a", "b"]) is None
