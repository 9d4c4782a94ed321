"""The version of a task, and the examples in its prompts, as harnesses report them."""

import json
from pathlib import Path
from typing import Any

import pytest

from evalserver.engines.metrics import metrics_of, values_of

DATA = Path(__file__).parent / "data"


def settings(
    content: dict[str, Any], num_fewshot: int | None = None
) -> set[tuple[str | None, int | None]]:
    """Return the settings of all metrics."""
    found = metrics_of(values_of(content), content, num_fewshot)
    return {(each.task_version, each.num_fewshot) for each in found}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [("lm_chat/*/results_*.json", ("1.0", 0)), ("lmms_async/*/*_results.json", (None, 0))],
)
def test_real_harnesses_report_them(pattern: str, expected: tuple[str | None, int]) -> None:
    [path] = DATA.glob(pattern)

    assert settings(json.loads(path.read_text())) == {expected}


@pytest.mark.parametrize(
    ("version", "expected"),
    [(2, "2"), ("1-B", "1-B"), ("N/A", None), ("Yaml", None), (None, None), ({"a": 1}, None)],
)
def test_a_version_is_a_number_or_a_text(version: Any, expected: str | None) -> None:
    content = {"results": {"t": {"acc,none": 0.5}}, "versions": {"t": version}}

    assert settings(content) == {(expected, None)}


def test_where_a_harness_does_not_report_examples_the_request_says_how_many() -> None:
    content: dict[str, Any] = {"results": {"t": {"acc,none": 0.5}}}

    assert settings(content, 5) == {(None, 5)}
    assert settings({**content, "n-shot": {"t": 3}}, 5) == {(None, 3)}
