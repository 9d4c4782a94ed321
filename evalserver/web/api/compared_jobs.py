"""The differences between the metrics of completed jobs, read from the store and from samples."""

from collections.abc import Callable, Iterator

from aiohttp import web

from evalserver.analysis.comparison import (
    Difference,
    NotPaired,
    paired_difference,
    unpaired_difference,
)
from evalserver.analysis.holm import find_regressions
from evalserver.core.job import Metric
from evalserver.outputs import (
    Evaluation,
    Key,
    ScoresUnavailable,
    TaskScores,
    load_scores_of_both,
)
from evalserver.web.api.results import load_results
from evalserver.web.keys import ENGINES, STORE


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
            pair = load_scores_of_both(baseline, other, keys, is_stopped)
        except ScoresUnavailable as error:
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
