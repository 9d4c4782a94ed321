"""Which paths a job needs, and how they relate to a path that somebody wants to remove."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from evalserver.checkpoints.leases.records import Lease
from evalserver.checkpoints.merging import requested_merge
from evalserver.checkpoints.readiness import local_checkpoints
from evalserver.core.job import Job
from evalserver.core.request import EvaluateRequest

FindLease = Callable[[str], Lease | None]


class Relation(StrEnum):
    """Where a needed path is, seen from the path that was asked about."""

    SAME = "same"
    BELOW = "below"
    ABOVE = "above"


@dataclass(frozen=True)
class Need:
    """A job that needs ``path``."""

    job: Job
    path: Path
    relation: Relation


def needs_among(jobs: Sequence[Job], path: Path, find_lease: FindLease) -> list[Need]:
    """Return the jobs that need the path, or something below or above it, each once.

    A job whose evaluation reads links or copies of its own needs those. Symbolic links are
    resolved, which reads the disk.
    """
    real = cache(os.path.realpath)
    asked = {path, Path(real(path))}
    found = (_need_of(job, asked, find_lease(job.job_id), real) for job in jobs)
    return [need for need in found if need is not None]


def _need_of(
    job: Job, asked: set[Path], lease: Lease | None, real: Callable[[Path], str]
) -> Need | None:
    for path in _needed_paths(job.request, lease):
        for place in (path, Path(real(path))):
            relations = (_relation(place, each) for each in asked)
            relation = next((each for each in relations if each is not None), None)
            if relation is not None:
                return Need(job, path, relation)
    return None


def _needed_paths(request: EvaluateRequest, lease: Lease | None) -> list[Path]:
    merge = requested_merge(request)
    if merge is not None:
        return [merge.model_path.absolute(), merge.output_path.absolute()]
    if lease is not None and lease.has_files:
        return [lease.place(leased) for leased in lease.paths]
    return list(local_checkpoints(request.model_args).values())


def _relation(needed: Path, asked: Path) -> Relation | None:
    if needed == asked:
        return Relation.SAME
    if needed.is_relative_to(asked):
        return Relation.BELOW
    return Relation.ABOVE if asked.is_relative_to(needed) else None
