"""Differences and their intervals: numbers computed by hand, or by scipy where it says so."""

import math
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, norm

from evalserver.analysis.comparison import (
    FORMULAS,
    Clusters,
    Method,
    NotPaired,
    Scores,
    paired_difference,
    unpaired_difference,
)
from evalserver.analysis.significance import TESTS, SignificanceTest
from evalserver.core.job import Metric

ACC = Metric("mme", "acc", "none", 0.5, None, None, True)

TEN = dict(enumerate([1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0]))
OTHER_TEN = dict(enumerate([1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0]))
"""Differences: 0 1 0 0 0 1 0 0 -1 1."""


def number(value: float, stderr: float | None = None, **known: Any) -> Metric:
    """A number of an evaluation."""
    return replace(ACC, value=value, stderr=stderr, **known)


def mean_of(scores: Scores, **known: Any) -> Metric:
    """The number that comes of these scores."""
    return number(math.fsum(scores.values()) / len(scores), **known)


def paired(
    first: Scores, second: Scores, clusters: Clusters = MappingProxyType({}), **known: Any
) -> Any:
    """The difference of what these scores come to."""
    return paired_difference(mean_of(first), mean_of(second, **known), first, second, clusters)


def test_pairs_give_the_mean_of_the_differences_and_its_standard_error() -> None:
    # mean 2/10; sum of squares 4 - 10 * 0.04 = 3.6; 3.6 / (10 * 9) = 0.04
    found = paired(TEN, OTHER_TEN)

    assert (found.value, found.stderr) == pytest.approx((0.2, 0.2))


def test_the_standard_error_of_pairs_is_that_of_scipy() -> None:
    first = {0: 0.1, 1: 0.4, 2: 0.35, 3: 0.8, 4: 0.6}
    second = {0: 0.3, 1: 0.5, 2: 0.25, 3: 0.9, 4: 0.9}

    # scipy.stats.sem([0.2, 0.1, -0.1, 0.1, 0.3])
    assert paired(first, second).stderr == pytest.approx(0.06633249580710799)


def test_the_interval_is_that_of_the_normal_distribution() -> None:
    found = unpaired_difference(number(0.5, 0.03), number(0.6, 0.04), "no samples")

    # scipy.stats.norm.interval(0.95, loc=0.1, scale=0.05)
    expected = (0.0020018007729972975, 0.19799819922700272)
    assert (found.low, found.high) == pytest.approx(expected)


def test_without_pairs_the_squares_of_the_standard_errors_add() -> None:
    found = unpaired_difference(number(0.5, 0.03), number(0.6, 0.04), "no samples")

    assert found.method is Method.UNPAIRED
    assert found.stderr == pytest.approx(0.05)


@pytest.mark.parametrize(("value", "exceeds"), [(0.59, False), (0.61, True), (0.39, True)])
def test_what_leaves_0_out_of_the_interval_exceeds_the_noise(value: float, exceeds: bool) -> None:
    found = unpaired_difference(number(0.5, 0.03), number(value, 0.04), "no samples")

    assert found.exceeds_noise is exceeds


def test_the_interval_of_two_fractions_ends_at_1() -> None:
    worst, best = number(0.1, 0.15, n=4), number(0.9, 0.15, n=4)

    assert unpaired_difference(worst, best, "why").high == 1.0


def test_the_interval_of_numbers_of_another_scale_has_no_end() -> None:
    low, high = number(0.1, 2.0, n=4), number(0.9, 2.0, n=4)

    assert unpaired_difference(low, high, "why").high == pytest.approx(6.34, abs=0.01)


@pytest.mark.parametrize(("first", "second"), [(0.1, None), (None, 0.1), (None, None)])
def test_without_a_standard_error_there_is_only_the_difference(
    first: float | None, second: float | None
) -> None:
    found = unpaired_difference(number(0.5, first), number(0.75, second), "no samples")

    interval = (found.stderr, found.low, found.high, found.exceeds_noise)
    assert (found.method, found.value, interval) == (Method.BARE, 0.25, (None,) * 4)


def test_pairing_finds_what_two_standard_errors_hide() -> None:
    first = {index: float(index < 50) for index in range(100)}
    second = {index: float(index < 58) for index in range(100)}
    stderr = 0.05

    alone = unpaired_difference(number(0.50, stderr), number(0.58, stderr), "no samples")

    assert (paired(first, second).exceeds_noise, alone.exceeds_noise) == (True, False)


def test_only_documents_that_both_have_are_compared() -> None:
    second = {**OTHER_TEN, 10: 1.0, 11: 1.0}

    found = paired(TEN, second)

    assert (found.value, found.n) == (pytest.approx(0.2), 10)
    assert found.note.startswith("The difference is that of the 10 documents that both have")


def test_the_note_has_the_values_of_the_common_documents() -> None:
    first = {each: float(each < 12) for each in range(16)}
    second = {each: float(each < 5) for each in range(8)}

    # 12 of 16 and 5 of 8 are 0.75 and 0.625; of the first 8, the first has all.
    assert paired(first, second).note.startswith(
        "The difference is that of the 8 documents that both have, of which the baseline's value is"
        " 1 and the job's 0.625; the values themselves are of 16 and 8 documents."
    )


def test_the_interval_of_scores_from_0_to_1_stays_between_minus_1_and_1() -> None:
    first, second = {0: 0.0, 1: 0.0, 2: 0.0, 3: 1.0}, {0: 1.0, 1: 1.0, 2: 1.0, 3: 1.0}

    # mean 3/4, standard error 1/4: up to 0.75 + 0.49
    assert paired(first, second).high == 1


def test_the_interval_of_scores_of_0_and_100_stays_between_minus_100_and_100() -> None:
    first, second = {0: 100.0, 1: 100.0, 2: 100.0}, {0: 0.0, 1: 0.0, 2: 100.0}

    assert paired(first, second).low == -100


def test_the_interval_of_other_scores_has_no_limits() -> None:
    first, second = {0: 0.0, 1: 0.0, 2: 0.0, 3: 1.5}, {0: 1.0, 1: 1.0, 2: 1.0, 3: 1.0}

    found = paired(first, second)

    assert found.high == pytest.approx(found.value + 1.96 * found.stderr, abs=1e-3)
    assert found.high > 1


def test_a_few_documents_are_remarked_upon() -> None:
    assert "fewer than 30" in paired(TEN, OTHER_TEN).note


def test_many_documents_are_not_remarked_upon() -> None:
    scores = {index: float(index % 2) for index in range(30)}

    assert paired(scores, scores).note is None


@pytest.mark.parametrize("common", [0, 1])
def test_fewer_than_two_common_documents_are_no_pairs(common: int) -> None:
    second = {index + 10 - common: score for index, score in TEN.items()}

    with pytest.raises(NotPaired, match=r"have (no documents|1 document) in common"):
        paired(TEN, second)


def test_a_number_that_is_no_mean_is_not_paired() -> None:
    f1 = replace(ACC, metric="f1", value=0.9)

    with pytest.raises(NotPaired, match="f1 is not the mean of the scores of its documents"):
        paired_difference(f1, mean_of(TEN), TEN, TEN)


def test_a_number_without_scores_is_not_paired() -> None:
    with pytest.raises(NotPaired, match="the samples have no scores for acc"):
        paired_difference(number(0.5), number(0.5), {}, TEN)


@pytest.mark.parametrize(
    ("value", "higher_is_better", "improved"),
    [(0.6, True, True), (0.4, True, False), (0.6, False, False), (0.4, False, True),
     (0.6, None, None), (0.5, True, None)],
)  # fmt: skip
def test_what_improved_depends_on_what_is_better(
    value: float, higher_is_better: bool | None, improved: bool | None
) -> None:
    other = number(value, higher_is_better=higher_is_better)

    assert unpaired_difference(number(0.5), other, "no samples").improved is improved


def test_why_numbers_were_not_paired_is_told() -> None:
    found = unpaired_difference(number(0.5), number(0.5), "one kept no samples")

    assert found.note == "Not paired: one kept no samples."


def test_every_method_has_a_formula_and_a_source() -> None:
    assert FORMULAS.keys() == set(Method)


scores = st.dictionaries(st.integers(0, 50), st.floats(0, 1), min_size=2)


@given(scores)
def test_an_evaluation_does_not_differ_from_itself(values: dict[int, float]) -> None:
    found = paired(values, values)

    assert (found.value, found.stderr, found.exceeds_noise) == (0, 0, False)


@given(scores, st.data())
def test_swapping_the_two_changes_the_sign_alone(values: dict[int, float], data: Any) -> None:
    other = {each: data.draw(st.floats(0, 1)) for each in values}

    there, back = paired(values, other), paired(other, values)

    assert (there.value, there.low, there.stderr) == pytest.approx(
        (-back.value, -back.high, back.stderr)
    )


def test_documents_that_changed_between_right_and_wrong_are_counted() -> None:
    found = paired(TEN, OTHER_TEN)

    assert (found.right_to_wrong, found.wrong_to_right) == (1, 3)


def test_the_p_value_of_right_and_wrong_documents_is_that_of_the_exact_test() -> None:
    found = paired(TEN, OTHER_TEN)

    # Four throws of a coin: at most 1 head has the probability 5/16.
    assert (found.test, found.p_value) == (SignificanceTest.MCNEMAR, pytest.approx(10 / 16))


def test_documents_are_not_counted_where_it_is_unknown_what_is_right() -> None:
    found = paired(TEN, OTHER_TEN, higher_is_better=None)

    assert (found.right_to_wrong, found.wrong_to_right) == (None, None)


def test_the_p_value_of_other_scores_is_that_of_the_normal_distribution() -> None:
    first = {0: 0.1, 1: 0.4, 2: 0.35, 3: 0.8, 4: 0.6}
    second = {0: 0.3, 1: 0.5, 2: 0.25, 3: 0.9, 4: 0.9}

    found = paired(first, second)

    expected = 2 * norm.sf(found.value / found.stderr)
    assert (found.test, found.p_value) == (SignificanceTest.NORMAL, pytest.approx(expected))
    assert (found.right_to_wrong, found.wrong_to_right) == (None, None)


def test_the_p_value_of_differences_that_are_all_alike_is_that_of_the_sign_test() -> None:
    found = paired(dict.fromkeys(range(8), 0.25), dict.fromkeys(range(8), 0.5))

    expected = binomtest(8, 8).pvalue
    assert (found.test, found.p_value) == (SignificanceTest.SIGN, pytest.approx(expected))


def test_without_pairs_the_p_value_is_that_of_the_normal_distribution() -> None:
    found = unpaired_difference(number(0.5, 0.03), number(0.6, 0.04), "no samples")

    assert found.p_value == pytest.approx(2 * norm.sf(2))


@pytest.mark.parametrize("stderr", [None, 0.0])
def test_without_an_error_and_without_pairs_there_is_no_p_value(stderr: float | None) -> None:
    found = unpaired_difference(number(0.5, stderr), number(0.6, stderr), "no samples")

    assert (found.test, found.p_value) == (None, None)


def test_documents_of_clusters_are_not_taken_as_independent() -> None:
    clusters = {each: each // 2 for each in range(10)}

    found = paired(TEN, OTHER_TEN, clusters=clusters)

    # Sums of d - 0.2 in pairs: 0.6 -0.4 0.6 -0.4 -0.4; sqrt(5/4 * 1.2) / 10
    assert (found.stderr, found.clusters) == (pytest.approx(math.sqrt(1.5) / 10), 5)


def test_the_p_value_of_clustered_documents_takes_clusters_into_account() -> None:
    found = paired(TEN, OTHER_TEN, clusters={each: each // 2 for each in range(10)})

    expected = 2 * norm.sf(found.value / found.stderr)
    assert (found.test, found.p_value) == (SignificanceTest.NORMAL, pytest.approx(expected))
    assert (found.right_to_wrong, found.wrong_to_right) == (1, 3)


def test_differences_of_clusters_that_are_all_alike_count_the_clusters() -> None:
    first, second = dict.fromkeys(range(8), 0.25), dict.fromkeys(range(8), 0.5)

    found = paired(first, second, clusters={each: each // 2 for each in range(8)})

    assert found.p_value == pytest.approx(binomtest(4, 4).pvalue)


@pytest.mark.parametrize(
    ("clusters", "note"),
    [
        ({}, None),
        ({each: each for each in range(40)}, None),
        ({each: each // 2 for each in range(40)}, "With fewer than 30 clusters of documents"),
        (dict.fromkeys(range(40), "a"), "All documents are in one cluster"),
        ({0: "a", 1: "b"}, "Only 2 of the 40 documents name a cluster"),
    ],
)
def test_a_note_says_what_clusters_mean_for_the_interval(
    clusters: dict[int, Any], note: str | None
) -> None:
    scores = {each: float(each % 2) for each in range(40)}

    found = paired(scores, scores, clusters=clusters).note

    assert found is None if note is None else found.startswith(note)


@pytest.mark.parametrize("clusters", [dict.fromkeys(range(10), "a"), {0: "a", 1: "b"}, {}])
def test_without_several_clusters_of_all_documents_they_are_independent(
    clusters: dict[int, str],
) -> None:
    found = paired(TEN, OTHER_TEN, clusters=clusters)

    assert (found.stderr, found.clusters) == (pytest.approx(0.2), None)


def test_within_the_noise_it_is_said_how_many_documents_would_decide() -> None:
    # The variance of a document is 0.2^2 * 10.
    expected = 0.4 * (norm.ppf(0.975) / 0.2) ** 2

    assert paired(TEN, OTHER_TEN).n_to_decide == math.ceil(expected)


def test_what_exceeds_the_noise_needs_no_more_documents() -> None:
    first = {index: float(index < 50) for index in range(100)}
    second = {index: float(index < 58) for index in range(100)}

    assert paired(first, second).n_to_decide is None


def test_without_any_difference_no_number_of_documents_decides() -> None:
    assert paired(TEN, TEN).n_to_decide is None


def test_every_test_has_a_formula_and_a_source() -> None:
    assert TESTS.keys() == set(SignificanceTest)
