"""Reading samples of the lm-eval family: their files by task, scores and verdicts.

A line of a samples file is a JSON object: ``doc_id``, ``target``, ``resps``, and under each
metric's name what the sample got. That is a number (``"acc": 1.0``); in many tasks of lmms-eval an
object with a ``score`` (``"pope_accuracy": {"question_id": 3, "score": 0.0}``); or what can only be
judged together with all others (``"f1": [1, 0]``). lm-eval also writes the ``filter``.
"""

import math
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

SCORE = "score"
"""lmms-eval's key for the number in a value that is an object."""

NAMED = {"True": 1.0, "False": 0.0}
"""lmms-eval writes a boolean of numpy as its name, and its float32 as a text."""

MAX_NUMBER_LENGTH = 40


class Verdict(StrEnum):
    """A metric's judgement of one sample."""

    RIGHT = "right"
    WRONG = "wrong"
    NEITHER = "neither"
    """The sample has a value, but not 0 or 1."""


def verdict(sample: Mapping[str, Any], metric: str) -> Verdict | None:
    """Return the verdict of a metric for which 1 is right; None if it does not judge the sample,
    or gave it a number that is not finite.
    """
    value = _value(sample, metric)
    if value is None:
        return None
    number = _as_number(value)
    if number is None:
        return Verdict.NEITHER
    if not math.isfinite(number):
        return None
    return {1.0: Verdict.RIGHT, 0.0: Verdict.WRONG}.get(number, Verdict.NEITHER)


def score(sample: Mapping[str, Any], metric: str) -> float | None:
    """Return a sample's score under a metric; None if it is not a single finite number."""
    number = _as_number(_value(sample, metric))
    return None if number is None or not math.isfinite(number) else number


def files_by_task(
    result: Mapping[str, Mapping[str, Any]], task_of: Callable[[str], str]
) -> dict[str, Path]:
    """Return the samples file of every task in a job's result; ``task_of`` parses a file's stem."""
    paths = (Path(each) for part in result.values() for each in part.get("samples", ()))
    return {task_of(path.stem): path for path in paths}


def _value(sample: Mapping[str, Any], metric: str) -> Any:
    value = sample.get(metric)
    return value.get(SCORE, value) if isinstance(value, Mapping) else value


def _as_number(value: Any) -> float | None:
    if isinstance(value, int | float):
        return float(value)
    if not isinstance(value, str) or len(value) > MAX_NUMBER_LENGTH or "_" in value:
        return None
    try:
        return NAMED[value] if value in NAMED else float(value)
    except ValueError:
        return None
