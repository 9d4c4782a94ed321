"""Exact binomial bounds and quantiles of Student's distribution, against scipy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, t

from evalserver.analysis.binomial import lower_bound, upper_bound
from evalserver.analysis.t_quantile import MIN_DEGREES, t_quantile


@given(st.integers(1, 3000), st.floats(0, 1), st.sampled_from([0.8, 0.95, 0.999]))
def test_the_bounds_are_those_of_clopper_and_pearson(
    n: int, share: float, confidence: float
) -> None:
    k = round(n * share)
    expected = binomtest(k, n).proportion_ci(confidence, method="exact")
    alpha = (1 - confidence) / 2

    assert lower_bound(k, n, alpha) == pytest.approx(expected.low, abs=1e-9, rel=1e-6)
    assert upper_bound(k, n, alpha) == pytest.approx(expected.high, abs=1e-9, rel=1e-6)


@given(st.sampled_from([0.5, 0.9, 0.95, 0.99, 0.999]), st.integers(MIN_DEGREES, 100_000))
def test_the_quantile_is_that_of_student(confidence: float, degrees: int) -> None:
    expected = t.ppf((1 + confidence) / 2, degrees)

    assert t_quantile(confidence, degrees) == pytest.approx(float(expected), rel=1e-3)
