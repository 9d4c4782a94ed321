"""The tables ``[series.PATTERN]`` of the settings."""

from typing import Any

import pytest

from evalserver.submission.series_policies import SeriesPolicy, policy_of, read_series


def test_the_first_pattern_that_matches_applies() -> None:
    tables = {"7b-*": {"max_waiting": 1}, "7b-[ab]": {"max_waiting": 2}, "*": {}}

    policies = read_series(tables)

    assert policy_of("7b-a", policies) == SeriesPolicy("7b-*", 1)
    assert policy_of("13b", policies) == SeriesPolicy("*")
    assert policy_of(None, policies) is None
    assert policy_of("13b", policies[:2]) is None


@pytest.mark.parametrize("value", [0, -1, 1.0, "1", True, None])
def test_max_waiting_is_a_number_of_jobs(value: Any) -> None:
    expected = f"series.7b-*.max_waiting must be an integer from 1 to 1000000, got {value!r}"

    with pytest.raises(ValueError) as error:
        read_series({"7b-*": {"max_waiting": value}})

    assert str(error.value) == expected


@pytest.mark.parametrize("value", [1, "yes", None])
def test_newest_first_is_true_or_false(value: Any) -> None:
    expected = f"series.*.newest_first must be true or false, got {value!r}"

    with pytest.raises(ValueError) as error:
        read_series({"*": {"newest_first": value}})

    assert str(error.value) == expected


def test_an_unknown_key_names_the_nearest_one() -> None:
    with pytest.raises(ValueError, match=r"unknown key 'max_waitng'\. Did you mean 'max_waiting'"):
        read_series({"*": {"max_waitng": 1}})


@pytest.mark.parametrize("value", ["next", "", 5, None, "abcd"])
def test_a_baseline_is_a_step_before_or_the_id_of_a_job(value: Any) -> None:
    job_id = "019ac2f4-6a1b-7c3d-8e5f-9a0b1c2d3e4f"
    for valid in ("previous", "best", job_id):
        read_series({"*": {"gate": "release", "baseline": valid}})

    with pytest.raises(ValueError, match=r"series\.\*\.baseline must be previous, best, or the id"):
        read_series({"*": {"gate": "release", "baseline": value}})


def test_a_baseline_without_a_gate_is_rejected() -> None:
    with pytest.raises(ValueError, match=r"series\.\*\.baseline needs series\.\*\.gate"):
        read_series({"*": {"baseline": "best"}})
