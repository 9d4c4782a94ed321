"""The differences between the metrics of completed jobs, read from the store and from samples."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web

from evalserver.analysis.comparison import (
    Difference,
    NotPaired,
    paired_difference,
    unpaired_difference,
)
from evalserver.analysis.holm import find_regressions
from evalserver.core.job import Job, Metric
from evalserver.engines import Engine
from evalserver.outputs import ArtifactNotFound, ScoresUnavailable, TaskScores, read_scores
from evalserver.web.api.results import load_results
from evalserver.web.api.samples import open_samples
from evalserver.web.keys import ENGINES, STORE

Key = tuple[str, str, str]
"""Task, metric, filter."""


@dataclass(frozen=True)
class Evaluation:
    """A completed job, its metrics, and its engine, which knows its files; None if the server has
    no such engine any more."""

    job: Job
    metrics: Mapping[Key, Metric]
    engine: Engine | None


async def load_evaluation(request: web.Request, job_id: str) -> Evaluation:
    """Return a completed job with its metrics. Raises what ``load_results`` raises."""
    job, metrics = await load_results(request.app[STORE], job_id)
    by_key = {(each.task, each.metric, each.filter): each for each in metrics}
    return Evaluation(job, by_key, request.app[ENGINES].get(job.engine))


def find_differences(
    baseline: Evaluation, other: Evaluation, is_stopped: Callable[[], bool]
) -> dict[Key, Difference]:
    """Return the difference of each metric that both have, paired where samples allow.

    Reads the samples of both. Raises ReadCancelled once ``is_stopped`` says so.
    """
    return find_regressions(dict(_differences(baseline, other, is_stopped)))


def _differences(
    baseline: Evaluation, other: Evaluation, is_stopped: Callable[[], bool]
) -> Iterator[tuple[Key, Difference]]:
    common = sorted(baseline.metrics.keys() & other.metrics.keys())
    for task in dict.fromkeys(key[0] for key in common):
        keys = [key for key in common if key[0] == task]
        try:
            pair = _load_scores_of_both(baseline, other, keys, is_stopped)
        except (ScoresUnavailable, NotPaired) as error:
            for key in keys:
                yield (
                    key,
                    unpaired_difference(baseline.metrics[key], other.metrics[key], str(error)),
                )
            continue
        for key in keys:
            yield key, _difference(baseline.metrics[key], other.metrics[key], pair)


def _difference(baseline: Metric, other: Metric, pair: tuple[TaskScores, TaskScores]) -> Difference:
    key = (baseline.metric, baseline.filter)
    first, second = (scores.scores[key] for scores in pair)
    # A document is in the same cluster in both jobs, even if only one of them names it.
    clusters = {**pair[1].clusters[baseline.filter], **pair[0].clusters[baseline.filter]}
    try:
        return paired_difference(baseline, other, first, second, clusters)
    except NotPaired as error:
        return unpaired_difference(baseline, other, str(error))


def _load_scores_of_both(
    baseline: Evaluation, other: Evaluation, keys: Sequence[Key], is_stopped: Callable[[], bool]
) -> tuple[TaskScores, TaskScores]:
    first, second = _load_scores(baseline, keys, is_stopped), _load_scores(other, keys, is_stopped)
    if not first.has_same_documents(second):
        raise NotPaired("the two have different documents with the same id")
    return first, second


def _load_scores(
    evaluation: Evaluation, keys: Sequence[Key], is_stopped: Callable[[], bool]
) -> TaskScores:
    job, task, engine = evaluation.job, keys[0][0], evaluation.engine
    if job.pruned_at is not None:
        raise ScoresUnavailable(f"job {job.job_id} was pruned with its samples")
    if engine is None:
        raise ScoresUnavailable(f"the server has no engine {job.engine} to read samples with")
    path = engine.samples_files(job.result or {}).get(task)
    if path is None:
        raise ScoresUnavailable(f"job {job.job_id} has no samples of {task}")
    try:
        with open_samples(job, path) as file:
            return read_scores(file, engine, [key[1:] for key in keys], is_stopped)
    except (ArtifactNotFound, OSError):
        raise ScoresUnavailable(f"the samples of job {job.job_id} were removed") from None
