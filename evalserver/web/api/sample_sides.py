"""The samples of two jobs that are compared: where they are, and what judges them."""

import os
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from evalserver.core.job import Job, Metric
from evalserver.engines import Engine
from evalserver.outputs import (
    ArtifactNotFound,
    Identity,
    Judge,
    MetricNotBinary,
    Places,
    SampleDiff,
    SampleIndex,
    ScoresUnavailable,
    choose_metric,
    index_samples,
    pair_samples,
)
from evalserver.web.api.samples import open_samples


@dataclass(frozen=True)
class Side:
    """A job, its samples of a task, and the metric and the filter that the request names for it."""

    job: Job
    engine: Engine
    task: str
    file: Path
    metrics: Sequence[Metric]
    """Those of the task."""
    metric: str | None = None
    filter: str | None = None

    @property
    def metric_names(self) -> set[str]:
        """The metrics of the task."""
        return {each.metric for each in self.metrics}

    @property
    def filters(self) -> set[str]:
        """The filters of the task."""
        return {each.filter for each in self.metrics}

    def opened(self) -> BinaryIO:
        """Open the samples. Raises ScoresUnavailable if they were removed."""
        try:
            return open_samples(self.job, self.file)
        except (ArtifactNotFound, OSError):
            raise ScoresUnavailable(
                f"the file {self.file} no longer exists: it was removed after the evaluation"
            ) from None


def identify(side: Side) -> Identity:
    """Return what changes with the samples of a job. Raises ScoresUnavailable."""
    with side.opened() as file:
        state = os.fstat(file.fileno())
    return (
        side.job.job_id, side.job.attempt, side.task, side.metric, side.filter,
        state.st_ino, state.st_size, state.st_mtime_ns,
    )  # fmt: skip


def find_diff(sides: tuple[Side, Side], is_cancelled: Callable[[], bool]) -> SampleDiff:
    """Read and pair the samples of two jobs.

    Raises ScoresUnavailable, and ReadCancelled once ``is_cancelled`` returns true.
    """
    baseline, job = sides
    with ExitStack() as stack:
        files = [stack.enter_context(side.opened()) for side in sides]
        first = _choose_judge(baseline, files[0], job)
        second = _choose_judge(job, files[1], baseline)
        is_binary = first.is_binary and second.is_binary
        if not is_binary:
            first, second = _with_scores(first, second)
        found = []
        for side, file, judge in zip(sides, files, (first, second), strict=True):
            file.seek(0)
            found.append(_index(side, file, judge, is_cancelled))
    pairs = pair_samples(*found, same_harness=_is_same_harness(*sides), is_binary=is_binary)
    places = [Places(each.places, each.lines, each.scores, each.unreadable) for each in found]
    return SampleDiff((first, second), (places[0], places[1]), pairs, is_binary)


def _index(
    side: Side, file: BinaryIO, judge: Judge, is_cancelled: Callable[[], bool]
) -> SampleIndex:
    try:
        return index_samples(file, side.engine, judge, is_cancelled)
    except ScoresUnavailable as error:
        raise ScoresUnavailable(f"of job {side.job.job_id}, {error}") from None


def _choose_judge(side: Side, file: BinaryIO, other: Side) -> Judge:
    """Choose the metric and the filter that the request names, else what both jobs have, else what
    this one has; and a metric that says right and wrong before any other."""
    judging = {each.metric for each in side.metrics if each.higher_is_better}
    names = _preferred(side.metric_names, other.metric_names)
    by_preference = [name for name in names if name in judging]
    metric = side.metric
    try:
        found = choose_metric(file, side.engine, by_preference, metric)
        is_binary = found is not None
        metric = found or next(iter(names), None)
    except MetricNotBinary:
        is_binary = False
    filters = _preferred(_filters_of(side, metric), other.filters)
    return Judge(
        metric,
        is_binary,
        side.filter or next(iter(filters), None),
        only_filter=len(side.filters) < 2,
    )


def _with_scores(first: Judge, second: Judge) -> tuple[Judge, Judge]:
    """Return judges that give scores; none if they are of different metrics."""
    metric = first.metric if first.metric == second.metric else None
    return (
        replace(first, metric=metric, is_binary=False),
        replace(second, metric=metric, is_binary=False),
    )


def _preferred(own: Collection[str], others: Collection[str]) -> list[str]:
    return sorted(own, key=lambda name: (name not in others, name))


def _filters_of(side: Side, metric: str | None) -> set[str]:
    return {each.filter for each in side.metrics if each.metric == metric}


def _is_same_harness(baseline: Side, job: Side) -> bool:
    """Whether ids of documents mean the same: the engines are of one harness, or one program."""
    one, other = baseline.engine, job.engine
    return type(one) is type(other) and (one.package is not None or one.name == other.name)
