"""What a training run gets of a finished evaluation."""

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

Json = dict[str, Any]

NO_FILTER = ("", "none")


class Number(NamedTuple):
    """A finite metric, or its standard error; ``filter`` is empty for none."""

    task: str
    metric: str
    filter: str
    value: float

    @property
    def name(self) -> str:
        """``task/metric``, and the filter where there is one."""
        return "/".join(part for part in self[:3] if part)


@dataclass(frozen=True)
class Evaluation:
    """A finished evaluation: completed, failed or cancelled. ``job`` is its record."""

    job: Json

    @property
    def step(self) -> int | None:
        """The step of the checkpoint; None for a job of the series that was sent without one."""
        step: int | None = self.job.get("step")
        return step

    @property
    def status(self) -> str:
        """``completed``, ``failed`` or ``cancelled``."""
        return str(self.job.get("status"))

    @property
    def error(self) -> str | None:
        """Why there are no metrics; None for a completed evaluation."""
        error: str | None = self.job.get("error")
        return error

    @property
    def metrics(self) -> dict[str, float]:
        """The finite metrics and standard errors by ``task/metric``, with the filter where there
        is one: ``{"mme/acc": 0.5, "gsm8k/exact_match/strict-match": 0.25}``."""
        return {number.name: number.value for number in self.numbers()}

    def log_outcome(self, logger: logging.Logger) -> None:
        """Log a failure as a warning; a cancellation, such as by a newer step, as information."""
        if self.error is not None:
            level = logging.INFO if self.status == "cancelled" else logging.WARNING
            logger.log(level, "step %s is %s: %s", self.step, self.status, self.error)

    def numbers(self) -> Iterator[Number]:
        """Yield the finite metrics and standard errors; none of a failed job."""
        for result in _object(self.job.get("result")).values():
            for task, metrics in _object(_object(result).get("metrics")).items():
                for key, value in _object(metrics).items():
                    if _is_finite(value):
                        metric, _, filter_name = key.partition(",")
                        filter_name = "" if filter_name in NO_FILTER else filter_name
                        yield Number(task, metric, filter_name, float(value))


def _object(value: Any) -> Json:
    # A training must not end because of what a server, or a proxy before it, answers.
    return value if isinstance(value, dict) else {}


def _is_finite(value: object) -> bool:
    return isinstance(value, float | int) and not isinstance(value, bool) and math.isfinite(value)
