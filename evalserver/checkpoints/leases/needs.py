"""Which paths a job needs, and how they relate to a path that somebody wants to remove."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from evalserver.checkpoints.leases.records import Lease
from evalserver.checkpoints.merging import merge_of
from evalserver.checkpoints.readiness import local_checkpoints
from evalserver.core.job import UnfinishedJob

FindLease = Callable[[str], Lease | None]


class Relation(StrEnum):
    """Where a needed path is, seen from the path that was asked about."""

    SAME = "same"
    BELOW = "below"
    ABOVE = "above"


@dataclass(frozen=True)
class Need:
    """A job that needs ``path``."""

    job: UnfinishedJob
    path: Path
    relation: Relation


def needs_among(jobs: Sequence[UnfinishedJob], path: Path, find_lease: FindLease) -> list[Need]:
    """Return the jobs that need the path, or something below or above it, each once.

    A job whose evaluation reads links or copies of its own needs those. Symbolic links are
    resolved, which reads the disk.
    """
    asked = {str(path), os.path.realpath(path)}

    @cache
    def relation_to(needed: Path) -> Relation | None:
        # Thousands of jobs need few checkpoints.
        places = (str(needed), os.path.realpath(needed))
        relations = (_relation(place, each) for place in places for each in asked)
        return next((each for each in relations if each is not None), None)

    found = []
    for job in jobs:
        for needed in _needed_paths(job, find_lease(job.job_id)):
            relation = relation_to(needed)
            if relation is not None:
                found.append(Need(job, needed, relation))
                break
    return found


def _needed_paths(job: UnfinishedJob, lease: Lease | None) -> list[Path]:
    if job.lmms_engine_kwargs is not None:
        merge = merge_of(job.lmms_engine_kwargs)
        return [merge.model_path.absolute(), merge.output_path.absolute()]
    if lease is not None and lease.has_files:
        return [lease.place(leased) for leased in lease.paths]
    return list(local_checkpoints(job.model_args).values())


def _relation(needed: str, asked: str) -> Relation | None:
    if needed == asked:
        return Relation.SAME
    if needed.startswith(_inside(asked)):
        return Relation.BELOW
    return Relation.ABOVE if asked.startswith(_inside(needed)) else None


def _inside(folder: str) -> str:
    """Return how the paths in a folder begin."""
    return folder if folder.endswith("/") else f"{folder}/"
