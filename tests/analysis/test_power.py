"""How many documents decide; statsmodels and scipy compute the references."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, norm
from statsmodels.stats.power import zt_ind_solve_power

from evalserver.analysis.power import (
    MAX_DOCUMENTS,
    documents_to_decide,
    documents_without_change,
)


@given(
    st.floats(-0.5, 0.5),
    st.floats(0.01, 1),
    st.sampled_from([0.0, 0.01, 0.05]),
    st.sampled_from([0.9, 0.95, 0.99]),
)
def test_the_interval_excludes_the_margin_with_so_many_documents_and_not_with_fewer(
    difference: float, variance: float, margin: float, confidence: float
) -> None:
    n = documents_to_decide(difference, variance, margin, confidence)

    if n is None:
        assert abs(difference - margin) < 1e-3
        return
    quantile = norm.ppf((1 + confidence) / 2)
    assert quantile * math.sqrt(variance / n) <= abs(difference - margin) * (1 + 1e-9)
    if n > 1:
        assert quantile * math.sqrt(variance / (n - 1)) >= abs(difference - margin) * (1 - 1e-9)


@pytest.mark.parametrize("power", [0.5, 0.8, 0.95])
def test_the_number_for_a_power_is_that_of_statsmodels(power: float) -> None:
    found = documents_to_decide(-0.02, 0.2, -0.01, 0.95, power)

    # A paired test is one of a single sample of differences: ratio 0.
    effect = 0.01 / math.sqrt(0.2)
    expected = zt_ind_solve_power(effect, alpha=0.025, power=power, ratio=0, alternative="larger")
    assert found == pytest.approx(float(expected), abs=1)


def test_a_difference_that_is_the_margin_is_never_decided() -> None:
    assert documents_to_decide(0.01, 0.2, 0.01, 0.95) is None


def test_a_number_that_no_benchmark_has_is_none() -> None:
    gap = 1.96 * math.sqrt(0.2 / MAX_DOCUMENTS)

    assert documents_to_decide(gap * 1.01, 0.2, 0.0, 0.95) is not None
    assert documents_to_decide(gap * 0.99, 0.2, 0.0, 0.95) is None


def test_without_variance_there_is_no_number() -> None:
    assert documents_to_decide(0.0, 0.0, 0.01, 0.95) is None


@pytest.mark.parametrize(("max_drop", "confidence"), [(0.01, 0.95), (0.05, 0.95), (0.01, 0.99)])
def test_so_many_documents_without_a_change_exclude_a_larger_drop(
    max_drop: float, confidence: float
) -> None:
    n = documents_without_change(max_drop, confidence)

    upper = [
        binomtest(0, each).proportion_ci(confidence, method="exact").high for each in (n, n - 1)
    ]
    assert upper[0] <= max_drop < upper[1]
