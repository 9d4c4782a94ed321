"""Differences between numbers that were found before, so that samples need not be read again."""

from collections import OrderedDict
from dataclasses import dataclass

from evalserver.analysis.comparison import Difference
from evalserver.core.job import Metric
from evalserver.store import Number

MAX_KEPT = 20_000


@dataclass(frozen=True)
class Pair:
    """A number that is tested against the best one of its column."""

    best: Number
    other: Number

    @property
    def key(self) -> tuple[str, str, str]:
        """The task, metric and filter of both."""
        metric = self.other.metric
        return metric.task, metric.metric, metric.filter

    @property
    def identity(self) -> tuple[str, str, Metric, Metric]:
        """What the difference depends on."""
        return self.best.job_id, self.other.job_id, self.best.metric, self.other.metric


class KnownDifferences:
    """The differences of the last pairs; those that were used longest ago are forgotten."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str, Metric, Metric], Difference] = OrderedDict()

    def get(self, pair: Pair) -> Difference | None:
        """Return the difference of a pair, if it is known."""
        found = self._known.get(pair.identity)
        if found is not None:
            self._known.move_to_end(pair.identity)
        return found

    def keep(self, pair: Pair, difference: Difference) -> None:
        """Keep the difference of a pair."""
        self._known[pair.identity] = difference
        while len(self._known) > MAX_KEPT:
            self._known.popitem(last=False)
