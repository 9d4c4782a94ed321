"""Reading a page of a job's samples: filtering them, and how a metric scored each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import BinaryIO

from evalserver.engines import Engine, Verdict
from evalserver.outputs.sample_lines import LinePosition, LineReader, SampleLine

PROBE_LINES = 100
PROBE_BYTES = 256 * 1024
"""How much of the file is read to find the metrics that score single samples with 0 or 1."""

RIGHT = {Verdict.RIGHT: True, Verdict.WRONG: False}


@dataclass(frozen=True)
class SamplesFilter:
    """Which samples to return: at most ``limit``, of the harness's ``filter`` and with the verdict
    ``only``, all of them if None. ``metric`` gives the verdicts; None if no metric does."""

    limit: int
    metric: str | None = None
    only: Verdict | None = None
    filter: str | None = None


@dataclass(frozen=True)
class Sample:
    """A line of the samples file; ``right`` is None without a verdict of the metric."""

    line: SampleLine
    right: bool | None


@dataclass(frozen=True)
class SamplesPage:
    """Samples in the order of the file; how many lines could not be filtered; and where the next
    page begins, None at the end."""

    samples: list[Sample]
    undecided: int
    next: LinePosition | None


class MetricNotBinary(Exception):
    """The metric does not score each sample with 0 or 1; ``binary_metrics`` do."""

    def __init__(self, binary_metrics: list[str]) -> None:
        super().__init__()
        self.binary_metrics = binary_metrics


def choose_metric(
    file: BinaryIO, engine: Engine, metrics: Sequence[str], requested: str | None
) -> str | None:
    """Return the requested metric, else the first that scores samples with 0 and 1, or None.

    ``metrics`` are those of the task for which higher is better. Raises MetricNotBinary if the
    requested metric is not one of them, or has other values than 0 and 1.
    """
    verdicts: dict[str, set[Verdict | None]] = {metric: set() for metric in metrics}
    for line in islice(LineReader(file, LinePosition(), PROBE_BYTES), PROBE_LINES):
        for metric in metrics:
            verdicts[metric].add(_verdict(line, engine, metric))
    possible = [metric for metric in metrics if Verdict.NEITHER not in verdicts[metric]]
    binary = [metric for metric in possible if verdicts[metric] & set(RIGHT)]
    if requested is None:
        return binary[0] if binary else None
    if requested not in possible:
        raise MetricNotBinary(binary)
    return requested


def read_page(
    file: BinaryIO, engine: Engine, samples_filter: SamplesFilter, start: LinePosition
) -> SamplesPage:
    """Read the samples that match the filter, from a position; fewer if many lines do not match.

    Raises InvalidPosition.
    """
    lines = LineReader(file, start)
    samples: list[Sample] = []
    undecided = 0
    for line in lines:
        verdict = _verdict(line, engine, samples_filter.metric)
        match _matches(line, verdict, engine, samples_filter):
            case None:
                undecided += 1
            case True:
                # The parsed values are not needed any more, and take ten times the memory of the
                # text.
                line = replace(line, values=None)
                samples.append(Sample(line, None if verdict is None else RIGHT.get(verdict)))
        if len(samples) == samples_filter.limit:
            break
    return SamplesPage(samples, undecided, lines.position)


def _verdict(line: SampleLine, engine: Engine, metric: str | None) -> Verdict | None:
    if line.values is None or metric is None:
        return None
    return engine.verdict(line.values, metric)


def _matches(
    line: SampleLine, verdict: Verdict | None, engine: Engine, wanted: SamplesFilter
) -> bool | None:
    """Return whether the line matches the filter; None if that cannot be decided."""
    if wanted.filter is not None:
        found = None if line.values is None else engine.filter_of(line.values)
        if found is None:
            return None
        if found != wanted.filter:
            return False
    if wanted.only is None:
        return True
    return verdict is wanted.only if verdict in RIGHT else None
