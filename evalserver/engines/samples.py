"""What the samples files of the lm-eval family say: which task each is of, and who was right.

A line of a samples file is a JSON object: ``doc_id``, ``target``, ``resps``, and under each
metric's name what the sample got. That is a number (``"acc": 1.0``); in many tasks of lmms-eval an
object with a ``score`` (``"pope_accuracy": {"question_id": 3, "score": 0.0}``); or what can only be
judged together with all others (``"f1": [1, 0]``). lm-eval also writes the ``filter``.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

SCORE = "score"
"""lmms-eval's key for the number in a value that is an object."""


class Verdict(StrEnum):
    """What a metric says of one sample."""

    RIGHT = "right"
    WRONG = "wrong"
    NEITHER = "neither"
    """The sample has a value, but not 0 or 1."""


def verdict(sample: Mapping[str, Any], metric: str) -> Verdict | None:
    """What a metric for which 1 is right says of a sample; None if it says nothing of it."""
    value = sample.get(metric)
    if isinstance(value, Mapping):
        value = value.get(SCORE, value)
    if value is None:
        return None
    # lmms-eval writes a boolean of numpy as its name.
    if value in (1, "True"):
        return Verdict.RIGHT
    if value in (0, "False"):
        return Verdict.WRONG
    return Verdict.NEITHER


def files_by_task(
    result: Mapping[str, Mapping[str, Any]], task_of: Callable[[str], str]
) -> dict[str, Path]:
    """The samples file of every task in a job's result; ``task_of`` reads a file's stem."""
    paths = (Path(each) for part in result.values() for each in part.get("samples", ()))
    return {task_of(path.stem): path for path in paths}
