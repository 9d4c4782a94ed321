"""The interval of a paired difference of right and wrong: against a maximization by scipy, and its
error rates by enumeration of everything that can be seen."""

import math
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from evalserver.analysis.power import documents_without_change
from evalserver.analysis.score_interval import score_interval

SHARES = (1e-6, 0.002, 0.01, 0.03, 0.07, 0.15, 0.25, 0.35, 0.44)
"""Of documents that become better: what the error rates must not depend on."""


def score(worse: int, better: int, n: int, delta: float) -> float:
    """The score statistic, with the most probable share found by scipy."""

    def minus_log_likelihood(share: float) -> float:
        shares = (share + delta, share, 1 - 2 * share - delta)
        counts = (worse, better, n - worse - better)
        return -sum(k * math.log(max(each, 1e-300)) for k, each in zip(counts, shares, strict=True))

    bounds = (max(0.0, -delta), (1 - delta) / 2)
    share = minimize_scalar(
        minus_log_likelihood, bounds=bounds, method="bounded", options={"xatol": 1e-12}
    ).x
    variance = n * (2 * share + delta - delta**2)
    return float((worse - better - n * delta) / math.sqrt(variance))


@pytest.mark.parametrize("counts", [(30, 10, 1000), (5, 5, 60), (80, 40, 150), (3, 20, 90)])
def test_a_score_test_does_not_reject_what_lies_between_the_bounds(
    counts: tuple[int, int, int],
) -> None:
    low, high = score_interval(*counts, 0.95)

    assert score(*counts, low) == pytest.approx(norm.ppf(0.975), abs=0.35)
    assert score(*counts, low) >= norm.ppf(0.975) - 1e-3
    assert score(*counts, high) <= -norm.ppf(0.975) + 1e-3


def test_with_many_documents_that_changed_it_is_that_of_the_score_test() -> None:
    low, high = score_interval(1200, 900, 20_000, 0.95)

    assert score(1200, 900, 20_000, low) == pytest.approx(norm.ppf(0.975), abs=1e-3)
    assert score(1200, 900, 20_000, high) == pytest.approx(-norm.ppf(0.975), abs=1e-3)


@given(st.integers(2, 300), st.floats(0, 1), st.floats(0, 1))
def test_it_contains_the_difference_and_is_symmetric(n: int, changed: float, worse: float) -> None:
    k = round(n * changed)
    b = round(k * worse)
    low, high = score_interval(b, k - b, n, 0.95)

    assert -1 <= low <= (2 * b - k) / n <= high <= 1
    assert score_interval(k - b, b, n, 0.95) == pytest.approx((-high, -low), abs=1e-9)


@pytest.mark.parametrize("max_drop", [0.001, 0.01, 0.1])
def test_without_a_change_it_excludes_a_drop_no_sooner_than_the_exact_test(
    max_drop: float,
) -> None:
    n = documents_without_change(max_drop, 0.95)

    assert score_interval(0, 0, n - 1, 0.95)[1] > max_drop
    assert score_interval(0, 0, round(1.1 * n), 0.95)[1] < max_drop


@cache
def intervals(n: int, confidence: float) -> list[tuple[int, int, float, float]]:
    """Everything that can be seen in n documents, with its interval."""
    return [
        (worse, better, *score_interval(worse, better, n, confidence))
        for worse in range(n + 1)
        for better in range(n + 1 - worse)
    ]


def probability(worse: int, better: int, n: int, share: float, drop: float) -> float:
    """How probable it is to see so many, if the shares that change are ``share + drop, share``."""
    rest = n - worse - better
    shares = (share + drop, share, 1 - 2 * share - drop)
    log = math.lgamma(n + 1) - sum(math.lgamma(k + 1) for k in (worse, better, rest))
    for count, each in zip((worse, better, rest), shares, strict=True):
        if count and each <= 0:
            return 0.0
        log += count * math.log(each) if count else 0.0
    return math.exp(log)


@pytest.mark.parametrize("n", [12, 25, 60])
@pytest.mark.parametrize("margin", [0.0, 0.01, 0.05, 0.1])
def test_a_bound_errs_with_a_probability_of_about_half_of_what_the_confidence_leaves(
    n: int, margin: float
) -> None:
    """Whatever share of documents changes: neither a pass of a drop at the margin nor a breach."""
    for share in SHARES:
        false_pass = false_breach = 0.0
        for worse, better, low, high in intervals(n, 0.95):
            if high <= margin or low > margin:
                p = probability(worse, better, n, share, margin)
                false_pass += p * (high <= margin)
                false_breach += p * (low > margin)
        assert false_pass <= 0.025 * 1.05
        assert false_breach <= 0.025 * 1.05
