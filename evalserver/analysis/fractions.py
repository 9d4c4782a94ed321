"""Metrics that are fractions, such as an accuracy: their intervals end at 0 and 1."""

from evalserver.core.job import Metric

TOLERANCE = 1.01
"""For standard errors that a harness computes with n in place of n - 1, or rounds."""


def is_fraction(
    value: float, stderr: float | None, n: int | None, higher_is_better: bool | None
) -> bool:
    """Whether a metric looks like a mean of scores from 0 to 1.

    Harnesses do not say which range a metric has. Scores from 0 to 1 with this mean cannot spread
    more than scores of 0 and 1 alone, so a metric of another scale has a larger standard error; a
    loss is told by its direction.
    """
    if not higher_is_better or not 0 <= value <= 1 or stderr is None or n is None or n < 2:
        return False
    return bool(stderr**2 * (n - 1) <= value * (1 - value) * TOLERANCE)


def are_fractions(*metrics: Metric) -> bool:
    """Whether each of the metrics looks like a mean of scores from 0 to 1."""
    return all(
        is_fraction(each.value, each.stderr, each.n, each.higher_is_better) for each in metrics
    )
