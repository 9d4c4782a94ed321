"""The executors of the settings: checked at the start, and made."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from evalserver.core.health import Health
from evalserver.engines import Engine
from evalserver.executors import Cluster, Executor, Executors
from evalserver.executors.settings import ExecutorSettings, read_executors, require_executor
from evalserver.executors.slurm import SlurmExecutor
from evalserver.server.cannot_start import CannotStart
from evalserver.server.places import runs_dir_of
from evalserver.settings.server_args import ServerArgs
from evalserver.store import RUNS_NAME, Store
from evalserver.system.instance_id import load_instance_id

WATCH_SECONDS = 1.0
FOLDER_PREFIX = "evalserver-"
"""Of the folder of a server in a ``run_root``, which other servers may share."""


def configured_executors(
    args: ServerArgs, engines: Mapping[str, Engine]
) -> Mapping[str, ExecutorSettings]:
    """Return the executors by name, the server's own machine first. Raises CannotStart."""
    try:
        executors = read_executors(args.executors, runs_dir_of(args))
    except ValueError as error:
        raise CannotStart(str(error)) from error
    chosen = {f"engines.{name}.executor": each.settings.executor for name, each in engines.items()}
    for setting, name in {"default_executor": args.default_executor, **chosen}.items():
        reason = None if name is None else require_executor(name, executors)
        if reason is not None:
            raise CannotStart(f"{setting}: {reason}")
    return executors


async def require_executors_of_jobs(
    store: Store, executors: Mapping[str, ExecutorSettings]
) -> None:
    """Raise CannotStart if a job that has not finished is of an executor that is gone."""
    for name, job_ids in (await store.queries.unfinished_by_executor()).items():
        if name not in executors:
            raise CannotStart(
                f"executors: there is no table [executors.{name}], but jobs that have not finished "
                f"are of that executor, the first of them {', '.join(job_ids)}. Put the table back "
                "into the TOML file, and remove it when they have finished or were cancelled"
            )


async def require_run_roots_of_jobs(
    store: Store, executors: Mapping[str, ExecutorSettings]
) -> None:
    """Raise CannotStart if the folder of a job that is on a cluster is gone: most likely the shared
    directory is not mounted, and a new folder would make all that runs there count as lost."""
    queries = store.queries
    for job in [*await queries.running(), *await queries.handed_over()]:
        settings = executors.get(job.executor)
        if job.run_dir is None or settings is None or settings.run_root is None:
            continue
        folder = Path(job.run_dir).parents[1]
        if not folder.is_dir():
            raise CannotStart(
                f"executors.{job.executor}.run_root: {folder} is gone, where job {job.job_id} "
                "runs or waits. Is it mounted? If it was removed, create it again: its jobs then "
                "count as lost, and are tried again"
            )


def run_roots(data_dir: Path, executors: Mapping[str, ExecutorSettings]) -> Mapping[str, Path]:
    """Return where the run directories are, by executor: this server's own folders in each
    ``run_root``. Executors without one are left out. All folders that are shared with nodes are
    made, since clusters do not make them. Raises CannotStart."""
    if any(each.slurm is not None and each.run_root is None for each in executors.values()):
        (data_dir / RUNS_NAME).mkdir(exist_ok=True)
    roots = {name: each.run_root for name, each in executors.items() if each.run_root is not None}
    if not roots:
        return {}
    try:
        folder = FOLDER_PREFIX + load_instance_id(data_dir)
    except ValueError as error:
        raise CannotStart(str(error)) from error
    found = {name: root / folder for name, root in roots.items()}
    for name, place in found.items():
        try:
            place.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise CannotStart(
                f"executors.{name}.run_root: cannot create {place}: {error.strerror}"
            ) from error
    return found


def make_executors(settings: Mapping[str, ExecutorSettings], local: Executor) -> Executors:
    """Make the executors of the settings; ``local`` is the server's own machine."""
    clusters = {
        name: SlurmExecutor(each.slurm) for name, each in settings.items() if each.slurm is not None
    }
    return Executors(local, clusters)


async def watch_clusters(clusters: Mapping[str, Cluster], health: Health) -> None:
    """Until cancelled, report which clusters cannot be reached."""
    while True:
        for name, cluster in clusters.items():
            if cluster.fault is None:
                health.clear(f"executor {name}")
            else:
                health.report(f"executor {name}", f"executor {name}: {cluster.fault}")
        await asyncio.sleep(WATCH_SECONDS)
