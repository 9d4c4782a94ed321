"""Testing the entries of a leaderboard against the best of each column, paired where possible.

What is read for one response is bounded, and what was found is kept: a finished attempt's samples
do not change.
"""

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from aiohttp import web

from evalserver.analysis.comparison import Difference, unpaired_difference
from evalserver.core.in_steps import in_steps
from evalserver.core.lifecycle import Status
from evalserver.outputs import ArtifactNotFound, Evaluation
from evalserver.web.api.compared_jobs import find_differences
from evalserver.web.api.known_differences import Pair
from evalserver.web.api.samples import open_samples
from evalserver.web.http.one_at_a_time import run_stoppable
from evalserver.web.keys import COMPARISON_WORK, ENGINES, LEADERBOARD_TESTS, STORE

MAX_READ_BYTES = 256 * 1024 * 1024
"""Of samples, for one response: some seconds."""
MAX_PAIRED_JOBS = 200
"""Pairs of jobs whose samples are read for one response."""

NOT_ASKED = "the request asks for no samples to be read"
GONE = "a job was removed meanwhile"
OVER_LIMIT = "the limits of what is read for one leaderboard were reached; ask for fewer tasks"

Group = dict[int, Pair]
"""Pairs of the same two jobs, by number."""


async def find_all(
    request: web.Request, pairs: Sequence[Pair], *, read_samples: bool
) -> list[Difference]:
    """Return the difference of each pair from the best: paired while the limits last."""
    if not read_samples:
        return await asyncio.to_thread(lambda: [_unpaired(pair, NOT_ASKED) for pair in pairs])
    known = request.app[LEADERBOARD_TESTS]
    found = {at: each for at, pair in enumerate(pairs) if (each := known.get(pair)) is not None}
    groups = _by_jobs({at: pair for at, pair in enumerate(pairs) if at not in found})
    if groups:
        evaluations = await _load(request, groups[:MAX_PAIRED_JOBS])
        # Reading samples occupies a thread, so comparisons run one at a time.
        differences = await request.app[COMPARISON_WORK].run(
            request,
            lambda: run_stoppable(
                lambda stop: list(_differences(groups, evaluations, stop.is_set))
            ),
        )
        for at, difference, is_final in differences:
            found[at] = difference
            if is_final:
                known.keep(pairs[at], difference)
    return [found[at] for at in range(len(pairs))]


async def _load(request: web.Request, groups: Sequence[Group]) -> dict[str, Evaluation]:
    """Return the jobs of these pairs, without those that are gone."""
    queries, engines = request.app[STORE].queries, request.app[ENGINES]
    pairs = [pair for group in groups for pair in group.values()]
    found = {}
    ids = dict.fromkeys(each.job_id for pair in pairs for each in (pair.best, pair.other))
    async for job_id in in_steps(ids):
        job = await queries.find(job_id) or await queries.find_pruned(job_id)
        if job is not None and job.status is Status.COMPLETED:
            found[job_id] = Evaluation(job, {}, engines.get(job.engine))
    return found


def _differences(
    groups: Sequence[Group], evaluations: Mapping[str, Evaluation], is_stopped: Callable[[], bool]
) -> Iterator[tuple[int, Difference, bool]]:
    """Yield the number of each pair, its difference, and whether it may be kept."""
    left = MAX_READ_BYTES
    for number, group in enumerate(groups):
        first = next(iter(group.values()))
        baseline, other = (evaluations.get(each.job_id) for each in (first.best, first.other))
        why = OVER_LIMIT if number >= MAX_PAIRED_JOBS else GONE
        if baseline is not None and other is not None:
            baseline = replace(
                baseline, metrics={each.key: each.best.metric for each in group.values()}
            )
            other = replace(other, metrics={each.key: each.other.metric for each in group.values()})
            size = _size(baseline) + _size(other)
            if size <= left:
                left -= size
                found = find_differences(baseline, other, is_stopped)
                yield from ((at, found[pair.key], True) for at, pair in group.items())
                continue
            why = OVER_LIMIT
        yield from ((at, _unpaired(pair, why), False) for at, pair in group.items())


def _by_jobs(pairs: Mapping[int, Pair]) -> list[Group]:
    """Return the pairs by both jobs, whose samples of a task are then read once."""
    found: dict[tuple[str, str], Group] = {}
    for at, pair in pairs.items():
        found.setdefault((pair.best.job_id, pair.other.job_id), {})[at] = pair
    return list(found.values())


def _size(evaluation: Evaluation) -> int:
    """Return the bytes of the samples of an evaluation's tasks, as far as it has any."""
    job, engine = evaluation.job, evaluation.engine
    if engine is None or job.pruned_at is not None:
        return 0
    files = engine.samples_files(job.result or {})
    size = 0
    for path in {files[task] for task, *_ in evaluation.metrics if task in files}:
        try:
            with open_samples(job, path) as file:
                size += os.fstat(file.fileno()).st_size
        except (ArtifactNotFound, OSError):
            continue
    return size


def _unpaired(pair: Pair, why: str) -> Difference:
    return unpaired_difference(pair.best.metric, pair.other.metric, why)
