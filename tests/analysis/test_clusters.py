"""Standard errors of clustered documents; statsmodels computes the references."""

import math
from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import sem, skew
from statsmodels.api import OLS

from evalserver.analysis.clusters import TooFewClusters, clustered_skewness, clustered_stderr

SCORES = [1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.5]
CLUSTERS = ["a", "a", "b", "b", "b", "c", "a"]


def stderr_of(scores: list[float], clusters: list[Any]) -> float:
    """The standard error of documents in this order."""
    return clustered_stderr(dict(enumerate(scores)), dict(enumerate(clusters)))


def expected_stderr(scores: list[float], clusters: list[int]) -> Any:
    """That of a regression on a constant alone."""
    model = OLS(numpy.array(scores), numpy.ones(len(scores)))
    return model.fit(cov_type="cluster", cov_kwds={"groups": numpy.array(clusters)}).bse[0]


def test_the_standard_error_is_that_of_statsmodels() -> None:
    numbers = [ord(each) for each in CLUSTERS]

    assert stderr_of(SCORES, CLUSTERS) == pytest.approx(expected_stderr(SCORES, numbers))


documents = st.lists(st.tuples(st.floats(-1, 1), st.integers(0, 5)), min_size=2, max_size=40)


@given(documents.filter(lambda pairs: len({cluster for _, cluster in pairs}) > 1))
def test_any_standard_error_is_that_of_statsmodels(pairs: list[tuple[float, int]]) -> None:
    scores, clusters = [score for score, _ in pairs], [cluster for _, cluster in pairs]

    expected = expected_stderr(scores, clusters)

    assert stderr_of(scores, clusters) == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_with_a_cluster_for_each_document_it_is_the_ordinary_standard_error() -> None:
    assert stderr_of(SCORES, list(range(7))) == pytest.approx(sem(SCORES))


def test_documents_that_are_copies_count_once() -> None:
    once = [1.0, 0.0, 1.0, 1.0]

    assert stderr_of(once * 3, list("abcd") * 3) == pytest.approx(stderr_of(once, list("abcd")))


def test_the_paired_difference_of_clustered_documents_is_a_mean_like_any_other() -> None:
    first, second = [1.0, 1.0, 0.0, 1.0], [0.0, 0.0, 0.0, 1.0]
    differences = [b - a for a, b in zip(first, second, strict=True)]

    # mean -1/2; sums of clusters -1 and 1: sqrt(2 / 1 * (1 + 1)) / 4
    assert stderr_of(differences, ["x", "x", "y", "y"]) == pytest.approx(math.sqrt(4) / 4)


@pytest.mark.parametrize("scores", [[], [1.0, 0.0]])
def test_a_single_cluster_has_no_standard_error(scores: list[float]) -> None:
    with pytest.raises(TooFewClusters, match="not of 2"):
        stderr_of(scores, ["a"] * len(scores))


def test_a_document_without_a_cluster_is_refused() -> None:
    with pytest.raises(KeyError):
        clustered_stderr({0: 1.0, 1: 0.0}, {0: "a"})


def test_the_skewness_is_that_of_scipy() -> None:
    values = dict(enumerate([0.0, 0.0, 0.1, 0.9, 0.0, 0.3]))

    found = clustered_skewness(values, {each: each for each in values})

    assert found == pytest.approx(float(skew(list(values.values()))))


def test_equal_values_have_no_skewness() -> None:
    assert clustered_skewness({1: 0.5, 2: 0.5}, {1: "a", 2: "b"}) == 0
