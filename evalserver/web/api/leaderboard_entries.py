"""Which jobs count for which entry of a leaderboard, and which of their numbers are comparable."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from evalserver.core.masking import masked
from evalserver.core.model_title import CHECKPOINT_ARGUMENTS, MAX_TITLE, model_title
from evalserver.store import Candidate, FinishedJob

IRRELEVANT_ARGUMENTS = frozenset({
    "base_url", "api_base", "api_key", "host", "port", "timeout", "max_retries", "num_concurrent",
    "batch_size", "max_batch_size", "device", "device_map", "parallelize", "verify_certificate",
    "tensor_parallel_size", "data_parallel_size", "gpu_memory_utilization", "max_memory",
})  # fmt: skip
"""Model arguments that say where a model runs and how fast, not which model it is."""


@dataclass(frozen=True)
class Settings:
    """How a job evaluated its tasks: numbers of jobs with different ones are not comparable."""

    engine: str
    limit: float | None
    harness_args: Mapping[str, Any]


@dataclass(frozen=True)
class Entry:
    """A row of a leaderboard: a model, with the arguments that tell it from others of the same
    name, or a series."""

    name: str
    arguments: Mapping[str, Any]


@dataclass
class Selection:
    """The entries and settings of the jobs that a query selects, and its candidates: the jobs by
    entry, those that count first at the beginning."""

    entries: list[Entry] = field(default_factory=list)
    settings: list[Settings] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)
    jobs: dict[str, FinishedJob] = field(default_factory=dict)


def select(jobs: Sequence[FinishedJob], query: Mapping[str, Any]) -> Selection:
    """Return what a query selects of these jobs, which are the newest first."""
    found = Selection()
    entries: dict[bytes, int] = {}
    settings: dict[bytes, int] = {}
    by_series = query["by"] == "series"
    wanted = [job for job in jobs if _is_wanted(job, query)]
    if by_series:
        # The latest of a training run is its highest step, also if an older one ended later.
        wanted.sort(key=lambda job: -1 if job.step is None else job.step, reverse=True)
    for job in wanted:
        entry = Entry(str(job.series), {}) if by_series else _model_of(job)
        way = Settings(job.engine, job.limit, masked(job.harness_args))
        number = _number(entries, found.entries, entry)
        candidate = Candidate(job.job_id, number, _number(settings, found.settings, way))
        found.candidates.append(candidate)
        found.jobs[job.job_id] = job
    return found


def differing_arguments(entries: Sequence[Entry]) -> Iterator[dict[str, Any]]:
    """Yield the arguments of each entry that not all entries of its name have alike."""
    by_name: dict[str, list[Entry]] = {}
    for entry in entries:
        by_name.setdefault(entry.name, []).append(entry)
    for entry in entries:
        others = by_name[entry.name]
        yield {
            name: value
            for name, value in entry.arguments.items()
            if any(other.arguments.get(name, other) != value for other in others)
        }


def _is_wanted(job: FinishedJob, query: Mapping[str, Any]) -> bool:
    if query["by"] == "series" and job.series is None:
        return False
    if query["pick"] == "step" and job.step != query["step"]:
        return False
    if query.get("engine") not in (None, job.engine):
        return False
    if "limit" in query and job.limit != query["limit"]:
        return False
    return all(job.labels.get(name) == text for name, text in query.get("label", ()))


def _model_of(job: FinishedJob) -> Entry:
    arguments: dict[str, Any] = masked(job.model_args)
    title = model_title({"model": job.model, "model_args": arguments})
    kept = {
        name: value
        for name, value in arguments.items()
        if name not in IRRELEVANT_ARGUMENTS
        and not (name in CHECKPOINT_ARGUMENTS and value == title)
    }
    return Entry(title[:MAX_TITLE], kept)


def _number(known: dict[bytes, int], values: list[Any], value: Any) -> int:
    """Return the number of a value in a list without duplicates, to which a new one is added."""
    key = orjson.dumps(vars(value), option=orjson.OPT_SORT_KEYS)
    if key not in known:
        known[key] = len(values)
        values.append(value)
    return known[key]
