"""The scores that lists of jobs show: the first metric of each task."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

STDERR = "_stderr"


@dataclass(frozen=True)
class Score:
    """A metric of a task, and its standard error; None if unknown."""

    task: str
    metric: str
    value: float
    stderr: float | None


def scores(job: Mapping[str, Any]) -> list[Score]:
    """Return the first number of each task of a completed job in the API's form.

    The tasks of the request come first, in its order; then those that a group consists of.
    """
    if job["status"] != "completed" or not job["result"]:
        return []
    order = {task: position for position, task in enumerate(job["request"]["tasks"])}
    found = [
        score
        for part in job["result"].values()
        for task, values in (part.get("metrics") or {}).items()
        for score in _first_number(task, values)
    ]
    return sorted(found, key=lambda score: order.get(score.task, len(order)))


def _first_number(task: str, values: Mapping[str, float | None]) -> Iterator[Score]:
    """Yield the first metric with a value; a metric's key is ``<metric>,<filter>``."""
    for key, value in values.items():
        metric, _, kind = key.partition(",")
        if value is not None and not metric.endswith(STDERR):
            yield Score(task, metric, value, values.get(f"{metric}{STDERR},{kind}"))
            return
