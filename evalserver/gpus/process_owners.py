"""Which processes are on the GPUs, and whose they are, as of the last inspection."""

import asyncio
from collections.abc import Mapping
from enum import Enum, auto
from pathlib import Path

from evalserver.core.lifecycle import Status
from evalserver.gpus.processes import Inspected, Owner, inspect_processes
from evalserver.store import Store

Processes = Mapping[int, Inspected | None]
"""The processes on a GPU by pid; None for one that is not visible here."""


class Role(Enum):
    """What a process is to this server."""

    STRANGER = auto()
    RUNNING = auto()
    """Of an attempt that runs."""
    LEFTOVER = auto()
    """Of an attempt that has ended."""


class ProcessOwners:
    """The owners of processes. ``runs`` is the directory of all jobs of this server."""

    def __init__(self, store: Store, runs: Path) -> None:
        self._store = store
        self._runs = runs
        self._on_gpus: Mapping[str, Processes] = {}
        self._owners: dict[tuple[int, int], Owner] = {}
        """By pid and start time, as found at any time while they lived."""
        self._visible: set[int] = set()
        """Pids from readings that were of visible processes."""

    def on_gpu(self, gpu_id: str) -> Processes:
        """Return the processes on a GPU as of the last inspection."""
        return self._on_gpus.get(gpu_id, {})

    def was_visible(self, pid: int) -> bool:
        """Return whether a process with this pid was visible while it was on a GPU."""
        return pid in self._visible

    async def inspect(self, pids: Mapping[str, list[int]]) -> None:
        """Inspect the processes on each GPU, and forget those that are on none any more. Raises
        StoreUnavailable."""
        every = {pid for some in pids.values() for pid in some}
        known: dict[int, Inspected | None] = {}
        if every:
            run_dirs = {
                Owner(job.job_id, job.attempt): Path(job.run_dir)
                for job in await self._store.queries.running()
                if job.run_dir is not None
            }
            found = await asyncio.to_thread(inspect_processes, sorted(every), run_dirs, self._runs)
            known = {pid: self._with_known_owner(each) for pid, each in found.items()}
        self._on_gpus = {gpu_id: {pid: known[pid] for pid in some} for gpu_id, some in pids.items()}
        self._owners = {key: owner for key, owner in self._owners.items() if key[0] in every}
        self._visible &= every

    async def role(self, owner: Owner | None) -> Role:
        """Return what a process with this owner is. Raises StoreUnavailable."""
        if owner is None:
            return Role.STRANGER
        job = await self._store.queries.find(owner.job_id)
        if job is None:
            was_known = await self._store.queries.was_known(owner.job_id)
            return Role.LEFTOVER if was_known else Role.STRANGER
        is_running = job.status is Status.RUNNING and job.attempt == owner.attempt
        return Role.RUNNING if is_running else Role.LEFTOVER

    def _with_known_owner(self, found: Inspected | None) -> Inspected | None:
        """Return it with the owner that it was found to have before it hid."""
        if found is None:
            return None
        process = found.process
        self._visible.add(process.pid)
        key = (process.pid, process.started)
        owner = self._owners.setdefault(key, found.owner) if found.owner else self._owners.get(key)
        return Inspected(process, owner, found.user)
