"""The scores of the documents of two jobs, for comparing them document by document."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evalserver.core.job import Job, Metric
from evalserver.engines import Engine
from evalserver.outputs.artifacts import ArtifactNotFound, open_artifact
from evalserver.outputs.scores import ScoresUnavailable, TaskScores, read_scores

Key = tuple[str, str, str]
"""Task, metric, filter."""


@dataclass(frozen=True)
class Evaluation:
    """A completed job, its metrics, and its engine, which knows its files; None if the server has
    no such engine any more."""

    job: Job
    metrics: Mapping[Key, Metric]
    engine: Engine | None


def load_scores_of_both(
    baseline: Evaluation, other: Evaluation, keys: Sequence[Key], is_stopped: Callable[[], bool]
) -> tuple[TaskScores, TaskScores]:
    """Return the scores of these metrics of one task, the baseline's first.

    Raises ScoresUnavailable, also if documents of the same id differ, and ReadCancelled once
    ``is_stopped`` says so.
    """
    first, second = _load_scores(baseline, keys, is_stopped), _load_scores(other, keys, is_stopped)
    if not first.has_same_documents(second):
        raise ScoresUnavailable("the two have different documents with the same id")
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
    output_dir = Path(job.output_dir or "")
    try:
        with open_artifact(output_dir, str(path.relative_to(output_dir))) as file:
            return read_scores(file, engine, [key[1:] for key in keys], is_stopped)
    except (ArtifactNotFound, ValueError, OSError):
        raise ScoresUnavailable(f"the samples of job {job.job_id} were removed") from None
