"""Regressions among many metrics; statsmodels computes the references."""

import random
from dataclasses import replace

import pytest
from statsmodels.stats.multitest import multipletests

from evalserver.analysis.comparison import Difference, Method
from evalserver.analysis.holm import adjust_p_values, find_regressions

WORSE = Difference(-0.1, 0.02, -0.14, -0.06, 100, Method.PAIRED, True, False, None)


def with_p(p_value: float | None) -> Difference:
    """A difference for the worse with this p-value."""
    return replace(WORSE, p_value=p_value)


@pytest.mark.parametrize("count", [1, 2, 3, 20, 200])
def test_adjusted_p_values_are_those_of_statsmodels(count: int) -> None:
    draw = random.Random(count)
    values = [draw.betavariate(0.2, 1) for _ in range(count)]

    _, expected, _, _ = multipletests(values, method="holm")

    assert adjust_p_values(values) == pytest.approx(list(expected))


def test_adjusted_p_values_keep_the_order_of_the_metrics() -> None:
    assert adjust_p_values([0.04, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])


def test_without_p_values_there_are_no_adjusted_ones() -> None:
    assert adjust_p_values([]) == []


def test_among_many_metrics_a_p_value_just_below_the_level_is_no_regression() -> None:
    found = find_regressions({number: with_p(0.04) for number in range(20)})

    assert {each.regressed for each in found.values()} == {False}


def test_alone_the_same_p_value_is_a_regression() -> None:
    found = find_regressions({"acc": with_p(0.04)})["acc"]

    assert (found.p_adjusted, found.regressed) == (0.04, True)


def test_a_regression_that_stands_out_among_many_is_named() -> None:
    found = find_regressions({"lost": with_p(0.001), **{each: with_p(0.5) for each in "abcdefg"}})

    assert [key for key, each in found.items() if each.regressed] == ["lost"]


def test_an_improvement_is_no_regression() -> None:
    found = find_regressions({"acc": replace(with_p(0.001), value=0.1, improved=True)})

    assert found["acc"].regressed is False


def test_whether_a_metric_of_unknown_direction_regressed_is_unknown() -> None:
    assert find_regressions({"acc": replace(with_p(0.001), improved=None)})["acc"].regressed is None


def test_a_metric_that_was_not_tested_does_not_count_among_the_many() -> None:
    found = find_regressions({"tested": with_p(0.04), "bare": with_p(None)})

    assert (found["tested"].p_adjusted, found["tested"].regressed) == (0.04, True)
    assert (found["bare"].p_adjusted, found["bare"].regressed) == (None, None)
