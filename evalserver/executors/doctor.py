"""Checks of the executors of the settings: whether attempts run there, and what to do if not."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from evalserver.core.diagnosis import Finding
from evalserver.core.job import LOCAL
from evalserver.executors.settings import read_executors
from evalserver.executors.slurm.doctor import ExecutorDiagnosis, diagnose_cluster
from evalserver.executors.slurm.hello_directory import NodeNeed, Warn

__all__ = ["ExecutorDiagnosis", "diagnose_executors"]

CORRECT = "correct the TOML file"


async def diagnose_executors(
    tables: Mapping[str, Mapping[str, Any]],
    default_root: Path,
    needs_of: Callable[[str], Sequence[NodeNeed]],
    wait_s: float,
    warn: Warn,
) -> list[ExecutorDiagnosis]:
    """Check the executors of these tables, by a job on each cluster.

    The job may wait ``wait_s`` seconds for its start. ``default_root`` is where run directories are
    without a ``run_root``, ``needs_of`` what nodes must have. ``warn`` is called with what could
    not be removed. A call that is cancelled removes the jobs before it ends.
    """

    async def one(name: str, table: Mapping[str, Any]) -> ExecutorDiagnosis:
        kind = table.get("type")
        known = ExecutorDiagnosis(name, str(kind) if kind is not None or name != LOCAL else LOCAL)
        try:
            settings = read_executors({name: table}, default_root)[name]
        except ValueError as error:
            return replace(known, findings=(Finding(str(error), CORRECT),))
        if settings.slurm is None:
            return known

        def warn_of(what: str) -> None:
            warn(f"{name}: {what}")

        return await diagnose_cluster(name, settings.slurm, needs_of(name), wait_s, warn_of)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(name, table)) for name, table in tables.items()]
    return [task.result() for task in tasks]
