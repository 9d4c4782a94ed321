"""How many samples a task has, and how many of them are right, from its metrics.

The file of samples may be large, and is not read for it. Metrics count documents: if these are
answered several times, in epochs, the number of samples is unknown.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evalserver.core.job import Metric

TOLERANCE = 1e-3
"""How far the number of right samples may be from an integer, since metrics may be rounded."""


@dataclass(frozen=True)
class SampleCounts:
    """The number of samples, and of those that are right; None if no metric tells."""

    total: int
    right: int | None

    @property
    def wrong(self) -> int | None:
        """The number of samples that are not right."""
        return None if self.right is None else self.total - self.right


def count_samples(
    metrics: Sequence[Metric], judging: str | None, query: Mapping[str, Any]
) -> SampleCounts | None:
    """Count the samples of a task with these metrics; None if their number is unknown.

    ``judging`` is the metric that says which samples are right. With a ``filter`` in the query
    only its samples are counted, else those of each filter.
    """
    wanted = [each for each in metrics if query.get("filter") in (None, each.filter)]
    totals = {each.filter: each.n for each in wanted}
    if not totals or None in totals.values():
        return None
    total = sum(n for n in totals.values() if n is not None)
    right = {each.filter: _count_right(each) for each in wanted if each.metric == judging}
    counted = [count for count in right.values() if count is not None]
    return SampleCounts(total, sum(counted) if len(counted) == len(totals) else None)


def has_epochs(
    harness_args: Mapping[str, Any], filters: Iterable[str], samples: Iterable[Mapping[str, Any]]
) -> bool:
    """Return whether a task's documents were answered several times, as far as the request, the
    filters (``<scorer>/<reducer of epochs>``) or these samples show."""
    return (
        harness_args.get("epochs", 1) != 1
        or any("/" in name for name in filters)
        or any(sample["epoch"] not in (None, 1) for sample in samples)
    )


def _count_right(metric: Metric) -> int | None:
    """Return how many samples are right if the metric is the mean of 0s and 1s."""
    right = metric.value * (metric.n or 0)
    return round(right) if abs(right - round(right)) < TOLERANCE else None
