"""How policies are read, and which rule is for which metric."""

from typing import Any

import pytest

from evalserver.analysis.gate_policy import (
    Direction,
    InvalidPolicy,
    Missing,
    Policy,
    Rule,
    Tier,
    parse_policy,
    policy_json,
)

ACC = ("mmlu_law", "acc", "none")


def test_a_policy_without_rules_is_one_rule_for_all_tasks() -> None:
    assert parse_policy({"max_drop": 0.01}) == Policy((Rule(max_drop=0.01),))


def test_the_fields_of_a_policy_are_the_defaults_of_its_rules() -> None:
    policy = parse_policy(
        {
            "max_drop": 0.01,
            "confidence": 0.9,
            "rules": [
                {"task": "mmlu*", "max_relative_drop": 0.02, "missing": "breach"},
                {"tier": "advisory", "confidence": 0.99, "direction": "lower_is_better"},
            ],
        }
    )

    assert policy.rules == (
        Rule(
            "mmlu*", max_drop=0.01, max_relative_drop=0.02, confidence=0.9, missing=Missing.BREACH
        ),
        Rule(tier=Tier.ADVISORY, max_drop=0.01, confidence=0.99, direction=Direction.LOWER),
    )


def test_a_policy_is_read_again_from_its_json() -> None:
    policy = parse_policy(
        {"max_drop": 0.01, "rules": [{"task": "a", "metric": "acc"}, {"tier": "supporting"}]}
    )

    assert parse_policy(policy_json(policy)) == policy


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({}, "max_drop"),
        ({"rules": [{"max_drop": 0.1}, {}]}, "rules.1.max_drop"),
        ({"max_drop": -0.1}, "max_drop"),
        ({"max_drop": True}, "max_drop"),
        ({"max_drop": float("nan")}, "max_drop"),
        ({"max_drop": float("inf")}, "max_drop"),
        ({"max_drop": 10**400}, "max_drop"),
        ({"max_drop": "0.1"}, "max_drop"),
        ({"max_relative_drop": 1.5}, "max_relative_drop"),
        ({"max_drop": 0.1, "confidence": 95}, "confidence"),
        ({"max_drop": 0.1, "confidence": 1.0}, "confidence"),
        ({"max_drop": 0.1, "tier": "vital"}, "tier"),
        ({"max_drop": 0.1, "tier": []}, "tier"),
        ({"max_drop": 0.1, "missing": None}, "missing"),
        ({"max_drop": 0.1, "direction": "up"}, "direction"),
        ({"max_drop": 0.1, "allow_unpaired": 1}, "allow_unpaired"),
        ({"max_drop": 0.1, "task": ""}, "task"),
        ({"max_drop": 0.1, "metric": "m" * 513}, "metric"),
        ({"max_drop": 0.1, "max_dorp": 1}, "max_dorp"),
        ({"max_drop": 0.1, "rules": []}, "rules"),
        ({"max_drop": 0.1, "rules": {"task": "a"}}, "rules"),
        ({"max_drop": 0.1, "rules": [{}] * 201}, "rules"),
        ({"max_drop": 0.1, "rules": ["mmlu"]}, "rules.0"),
        ({"max_drop": 0.1, "rules": [{"rules": []}]}, "rules.0.rules"),
    ],
)
def test_an_invalid_policy_is_rejected_with_the_path_of_what_is_wrong(
    values: dict[str, Any], path: str
) -> None:
    with pytest.raises(InvalidPolicy) as caught:
        parse_policy(values)

    assert list(caught.value.errors) == [path]


def test_everything_that_is_wrong_is_reported_at_once() -> None:
    with pytest.raises(InvalidPolicy) as caught:
        parse_policy({"max_drop": -1, "rules": [{"tier": "x", "confidence": 2}]})

    assert list(caught.value.errors) == ["max_drop", "rules.0.tier", "rules.0.confidence"]


def test_a_misspelled_field_names_the_one_that_was_probably_meant() -> None:
    with pytest.raises(InvalidPolicy, match="max_drop"):
        parse_policy({"max_dorp": 0.1})


def test_the_first_rule_that_matches_is_for_a_metric() -> None:
    policy = parse_policy(
        {"rules": [{"task": "mmlu*", "max_drop": 0.1}, {"task": "*", "max_drop": 0.2}]}
    )

    rules = [policy.rule_for((task, "acc", "none"), True) for task in ("mmlu_law", "gsm8k")]

    assert [each and each.max_drop for each in rules] == [0.1, 0.2]


def test_a_rule_without_metric_is_for_those_that_have_a_direction() -> None:
    assert Rule(max_drop=0.1).matches(ACC, True)
    assert not Rule(max_drop=0.1).matches(ACC, None)
    assert Rule(max_drop=0.1, direction=Direction.LOWER).matches(ACC, None)


def test_a_rule_is_for_a_metric_and_a_filter_by_their_patterns() -> None:
    assert Rule(metric="acc*").matches(ACC, None)
    assert not Rule(metric="f1").matches(ACC, True)
    assert not Rule(filter="strict*").matches(ACC, True)
    assert Rule(filter="no*").matches(ACC, True)


@pytest.mark.parametrize(
    ("rule", "margin"),
    [
        (Rule(max_drop=0.01), 0.01),
        (Rule(max_relative_drop=0.02), 0.016),
        (Rule(max_drop=0.01, max_relative_drop=0.02), 0.01),
        (Rule(max_drop=0.02, max_relative_drop=0.02), 0.016),
    ],
)
def test_the_smaller_of_two_margins_holds(rule: Rule, margin: float) -> None:
    assert rule.margin(0.8) == pytest.approx(margin)


def test_a_relative_margin_of_a_negative_value_is_positive() -> None:
    assert Rule(max_relative_drop=0.1).margin(-20.0) == pytest.approx(2.0)
