"""Which requested tasks the results say nothing about."""

from typing import Any

import pytest

from evalserver.engines.requested import find_missing

RESULTS: dict[str, Any] = {
    "results": {"mmlu": {}, "mmlu_stem": {}, "physics": {}, "algebra": {}, "mme": {}, "gsm8k": {}},
    "group_subtasks": {"mmlu": ["mmlu_stem"], "mmlu_stem": ["physics", "algebra"], "mme": []},
    "configs": {"mme": {"tag": "perception"}, "gsm8k": {"tag": ["reasoning", "math"]}},
}
TASKS = {"physics", "algebra", "mme", "gsm8k"}


@pytest.mark.parametrize(
    "asked_for",
    [("mme",), ("mme", "gsm8k"), ("mmlu",), ("mmlu_stem",), ("perception",), ("math",), ("m*",),
     ("mm?",)],
    ids=",".join,
)  # fmt: skip
def test_a_name_is_covered_if_all_of_its_tasks_are(asked_for: tuple[str, ...]) -> None:
    assert find_missing(asked_for, [RESULTS], TASKS) == []


@pytest.mark.parametrize(
    ("asked_for", "missing"),
    [
        (("mme", "ai2d"), "ai2d"),
        (("mmlu",), "algebra"),
        (("m*",), "algebra"),
        (("x*",), "x*"),
        (("ocr",), "ocr"),
    ],
)
def test_tasks_of_which_nothing_is_said_are_found(asked_for: tuple[str, ...], missing: str) -> None:
    assert find_missing(asked_for, [RESULTS], TASKS - {"algebra"}) == [missing]


def test_tasks_can_be_spread_over_several_files() -> None:
    contents: list[dict[str, Any]] = [{"results": {"a": {}}}, {"results": {"b": {}}}]

    assert find_missing(("a", "b"), contents, {"a", "b"}) == []


@pytest.mark.parametrize("odd", [{}, {"results": []}, {"group_subtasks": 1, "configs": {"a": 1}}])
def test_a_file_with_another_structure_covers_nothing(odd: dict[str, Any]) -> None:
    assert find_missing(("a",), [odd], set()) == ["a"]


def test_a_group_that_contains_itself_terminates() -> None:
    content = {"results": {"a": {}}, "group_subtasks": {"a": ["a"]}}

    assert find_missing(("a",), [content], {"a"}) == []


def test_groups_contained_in_many_others_are_visited_once() -> None:
    groups = {f"group{n}": [f"group{n + 1}", f"also{n + 1}"] for n in range(2000)}
    also = {f"also{n}": [f"group{n + 1}", f"also{n + 1}"] for n in range(2000)}
    content = {"results": {}, "group_subtasks": {**groups, **also}}

    assert find_missing(("group0",), [content], set()) == ["also2000", "group2000"]


@pytest.mark.parametrize("odd", [5, [5, [], {}], {"mme": 1}, "mme"], ids=repr)
def test_invalid_members_of_a_group_are_ignored(odd: object) -> None:
    content = {"results": {"mme": {}}, "group_subtasks": {"mme": odd}}

    assert find_missing(("mme",), [content], {"mme"}) == []
