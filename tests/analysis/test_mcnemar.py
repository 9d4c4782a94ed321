"""Documents that changed between right and wrong; statsmodels and scipy compute the references."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom
from statsmodels.stats.contingency_tables import mcnemar

from evalserver.analysis.mcnemar import DiscordantPairs, count_discordant, exact_p_value

BASELINE = {"a": 1.0, "b": 1.0, "c": 1.0, "d": 0.0, "e": 0.0}


def test_documents_are_counted_that_only_one_of_the_two_has_right() -> None:
    other = {"a": 1.0, "b": 0.0, "c": 0.0, "d": 1.0, "e": 0.0}

    assert count_discordant(BASELINE, other) == DiscordantPairs(2, 1)


def test_documents_of_one_of_the_two_are_not_counted() -> None:
    assert count_discordant(BASELINE, {"a": 0.0, "f": 1.0}) == DiscordantPairs(1, 0)


@pytest.mark.parametrize("score", [0.5, 100.0, -1.0])
def test_scores_other_than_0_and_1_are_not_counted(score: float) -> None:
    assert count_discordant(BASELINE, {**BASELINE, "e": score}) is None


def expected_p_value(lost: int, won: int) -> Any:
    """What statsmodels computes."""
    return mcnemar([[10, lost], [won, 10]], exact=True).pvalue


@pytest.mark.parametrize(
    ("lost", "won"), [(12, 5), (5, 12), (0, 0), (0, 1), (6, 0), (7, 7), (40, 61), (1, 999)]
)
def test_the_p_value_is_that_of_statsmodels(lost: int, won: int) -> None:
    found = exact_p_value(DiscordantPairs(lost, won))

    assert found == pytest.approx(expected_p_value(lost, won), rel=1e-10)


@given(st.integers(0, 400), st.integers(0, 400))
def test_any_p_value_is_that_of_statsmodels(lost: int, won: int) -> None:
    found = exact_p_value(DiscordantPairs(lost, won))

    assert found == pytest.approx(expected_p_value(lost, won), rel=1e-9)


def test_the_p_value_of_a_million_documents_is_that_of_scipy() -> None:
    found = exact_p_value(DiscordantPairs(501_500, 498_500))

    assert found == pytest.approx(2 * binom.cdf(498_500, 1_000_000, 0.5), rel=1e-6)
