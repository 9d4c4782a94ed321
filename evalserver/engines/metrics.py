"""The numbers in a results file of the lm-eval family, and what is odd about them.

A key ``<metric>,<filter>`` is a word of the harness on a task; other keys are names, aliases and
sample counts. Its value is a number, a number as text (lmms-eval and lm-eval write numpy's float32
so), NaN, or something else: null for a split that only makes a submission file, "N/A".
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from evalserver.core.job import Metric
from evalserver.core.result_check import Finding, FindingCode

NUMBER = re.compile(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf|nan)", re.IGNORECASE | re.ASCII)
STDERR = "_stderr"
SUBMISSION = "submission"
"""In lmms-eval's names of metrics whose aggregation only writes a file for an evaluation server."""
MAX_N = 2**53
"""JSON's numbers are exact up to here."""
MAX_DIGITS = 100
NO_VERSIONS = ("Yaml", "N/A", "")
MAX_NAMED = 5
"""Metrics that a finding names."""
PLACEHOLDER = "a placeholder"

Content = Mapping[str, Any]
"""The content of a results file."""
Values = dict[str, dict[str, Any]]
"""What the harness says: by task, then by ``metric,filter``."""


def values_of(content: Content, placeholder: tuple[str, float] | None = None) -> Values:
    """Return what the harness says about each task; numbers that are written as text as numbers.

    Tasks about which it says nothing are left out. ``placeholder`` is a metric and the value that
    the harness gives it without having scored anything.
    """
    tasks = {
        task: {
            key: _read_value(key, value, placeholder) for key, value in values.items() if "," in key
        }
        for task, values in content["results"].items()
        if isinstance(values, Mapping)
    }
    return {task: values for task, values in tasks.items() if values}


def numbers_of(values: Values) -> dict[str, dict[str, float | None]]:
    """Return the numbers alone; those that are not finite are None, as JSON has none of them."""
    return {
        task: {
            key: value if math.isfinite(value) else None
            for key, value in words.items()
            if isinstance(value, float)
        }
        for task, words in values.items()
    }


def metrics_of(
    values: Values, content: Content, num_fewshot: int | None = None
) -> Iterator[Metric]:
    """Yield every finite metric, with its standard error, the number of samples, and what makes it
    comparable. ``num_fewshot`` is what was requested, for harnesses that do not report it."""
    for task, words in values.items():
        for key, value in words.items():
            metric, _, kind = key.partition(",")
            if STDERR in metric or not _is_finite(value):
                continue
            stderr = words.get(f"{metric}{STDERR},{kind}")
            n = _lookup(content, int, "n-samples", task, "scored", kind)
            n = _lookup(content, int, "n-samples", task, "effective") if n is None else n
            shots = _count(_lookup(content, int, "n-shot", task))
            yield Metric(
                task=task,
                metric=metric,
                filter=kind,
                value=value,
                stderr=stderr if _is_finite(stderr) else None,
                n=_count(n),
                higher_is_better=_lookup(content, bool, "higher_is_better", task, metric),
                task_version=_version(content, task),
                num_fewshot=num_fewshot if shots is None else shots,
            )


def _version(content: Content, task: str) -> str | None:
    """Return the version of a task; lmms-eval writes "Yaml" for those whose file has none."""
    version = _lookup(content, object, "versions", task)
    is_version = isinstance(version, str | int | float) and version not in NO_VERSIONS
    return _short(str(version)) if is_version else None


def _count(number: int | None) -> int | None:
    return number if number is not None and 0 <= number <= MAX_N else None


def findings_of(values: Values, *, wrote_submission: bool) -> Iterator[Finding]:
    """Yield what is odd about each task: numbers that are not finite, and missing scores.

    ``wrote_submission``: whether there is a submission file.
    """
    for task, words in values.items():
        odd = [key for key, value in words.items() if _is_number(value) and not _is_finite(value)]
        if odd:
            metrics = [key for key in odd if STDERR not in key] or odd
            yield Finding(task, FindingCode.NOT_FINITE, _sentence(words, metrics))
        elif is_submission(words, wrote_submission=wrote_submission):
            text = "No score: this split only makes a submission file, for an evaluation server"
            yield Finding(task, FindingCode.NO_SCORE, text)
        elif missing := _without_score(words):
            yield Finding(task, FindingCode.NO_SCORE, f"No score: {_sentence(words, missing)}")


def is_submission(words: Mapping[str, Any], *, wrote_submission: bool) -> bool:
    """Whether what the harness says about a task is that it only makes a submission file."""
    metrics = _metrics(words)
    return bool(metrics) and all(
        words[key] is None and (wrote_submission or SUBMISSION in key) for key in metrics
    )


def _without_score(words: Mapping[str, Any]) -> list[str]:
    """Return the metrics that lack a score: all of them, or those that are null beside others."""
    metrics = _metrics(words)
    if not any(_is_finite(words[key]) for key in metrics):
        return metrics or list(words)
    return [key for key in metrics if words[key] is None and SUBMISSION not in key]


def _sentence(words: Mapping[str, Any], keys: Sequence[str]) -> str:
    named = ", ".join(f"{_short(key)} is {_name(words[key])}" for key in keys[:MAX_NAMED])
    return f"{named} and {len(keys) - MAX_NAMED} more" if len(keys) > MAX_NAMED else named


def _metrics(words: Mapping[str, Any]) -> list[str]:
    return [key for key in words if STDERR not in key]


def _read_value(key: str, value: object, placeholder: tuple[str, float] | None) -> object:
    if isinstance(value, str):
        text = value.strip()
        return float(text) if len(text) <= MAX_DIGITS and NUMBER.fullmatch(text) else value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    number = float(value)
    return PLACEHOLDER if (key.partition(",")[0], number) == placeholder else number


def _is_number(value: object) -> bool:
    return isinstance(value, float)


def _is_finite(value: object) -> bool:
    return isinstance(value, float) and math.isfinite(value)


def _name(value: object) -> str:
    """Name a value that is no finite number."""
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if value is None:
        return "null"
    return _short(repr(value)) if isinstance(value, str) else f"a {type(value).__name__}"


def _short(text: str) -> str:
    # A lone surrogate cannot be kept.
    return text[:80].encode(errors="replace").decode()


def _lookup(content: Any, kind: type, *keys: str) -> Any:
    value: Any = content
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, kind) else None
