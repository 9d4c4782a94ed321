"""Keeps GPUs that are not free from being used: with processes, memory that is still in use, faults
or a quarantine. What an ended attempt left on one is killed."""

import asyncio
import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from evalserver.core.lifecycle import Status
from evalserver.gpus.inventory import Gpu
from evalserver.gpus.monitor import GpuMonitor
from evalserver.gpus.processes import Inspected, Owner, inspect_processes
from evalserver.runner.procfs import send_signal
from evalserver.store import CommittedEvent, Hold, Quarantine, Store, StoreUnavailable

if TYPE_CHECKING:
    from evalserver.gpus.nvml import Reading

log = structlog.get_logger("evalserver.gpus")

SERVER = "server"
"""The actor of what the server does by itself."""

GIB = 1024**3
MAX_FREE_BYTES = GIB
"""Memory that a GPU without processes may have in use: contexts of the driver and of a desktop."""
RELEASE_SECONDS = 30.0
"""How long memory may stay in use after an attempt before its GPU is quarantined."""
RECHECK_SECONDS = 0.2
"""After processes were killed: they need a moment to end."""


class GpuGuard:
    """Says which of the GPUs that are not held must not be used. Await ``watch`` in a task."""

    def __init__(
        self,
        gpus: Sequence[Gpu],
        monitor: GpuMonitor,
        store: Store,
        release_s: float = RELEASE_SECONDS,
    ) -> None:
        self._gpus = gpus
        self._monitor = monitor
        self._store = store
        self._release_s = release_s
        self._listeners: list[Callable[[], None]] = []
        self._wake = asyncio.Event()
        self._ended_jobs: list[str] = []
        self._released: dict[str, tuple[float, str]] = {}
        """When an attempt released a GPU that still had memory in use, and its job."""
        self._owners: dict[tuple[int, int], Owner] = {}
        """Of processes by pid and start time, as found at any time while they lived."""
        self._visible: set[int] = set()
        """Pids from readings that were of visible processes."""
        self._killed: set[tuple[int, int]] = set()
        self._last: Mapping[str, str] = {}
        monitor.subscribe(self._wake.set)
        store.subscribe(self._on_event)

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` when the answer of ``unavailable`` may have changed."""
        self._listeners.append(listener)

    def recheck(self) -> None:
        """Look again, as after a quarantine or its end; listeners are called if it matters."""
        self._wake.set()

    async def unavailable(self) -> Mapping[str, str]:
        """Return for each GPU that must not be used why, as the rest of a sentence after its name:
        of those that are held, only the quarantined ones. The free ones are read for it. Raises
        StoreUnavailable."""
        free = await self._free()
        await self._monitor.refresh(gpu.id for gpu in free)
        return await self._reasons(free)

    async def processes(self) -> Mapping[str, Mapping[int, Inspected | None]]:
        """Return the processes on each GPU by pid, as of the last reading; None for one that is
        not visible here. Raises StoreUnavailable."""
        return await self._inspect([gpu.id for gpu in self._gpus])

    async def watch(self) -> None:
        """Until cancelled, look after each reading: remember whose processes there are, kill what
        ended attempts left, quarantine GPUs whose memory stays in use, and call listeners."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._look()
            except StoreUnavailable as error:
                log.warning("the GPUs cannot be checked", why=str(error))

    async def _look(self) -> None:
        inspected = await self._inspect([gpu.id for gpu in self._gpus])
        self._forget({pid for some in inspected.values() for pid in some})
        free = await self._free()
        if self._killed:
            await self._monitor.refresh(gpu.id for gpu in free)
        reasons = await self._reasons(free)
        for gpu in free:
            await self._quarantine_if_stuck(gpu)
        if reasons != self._last:
            self._last = reasons
            for listener in self._listeners:
                listener()

    def _on_event(self, event: CommittedEvent) -> None:
        if event.before is Status.RUNNING and event.after is not Status.RUNNING:
            self._ended_jobs.append(event.job_id)

    async def _free(self) -> list[Gpu]:
        """Return the GPUs that are not held, and note which were released."""
        holds = await self._store.gpus.holds()
        while self._ended_jobs:
            job_id = self._ended_jobs.pop()
            job = await self._store.queries.find(job_id)
            for gpu_id in (job and job.gpus) or ():
                self._released[gpu_id] = (time.monotonic(), job_id)
        for gpu_id in holds:
            self._released.pop(gpu_id, None)
        return [gpu for gpu in self._gpus if holder_of(gpu, holds) is None]

    async def _reasons(self, free: Sequence[Gpu]) -> dict[str, str]:
        quarantines = await self._store.gpus.quarantines()
        inspected = await self._inspect([gpu.id for gpu in free])
        reasons: dict[str, str] = {}
        for gpu in free:
            reason = describe_quarantine(quarantines.get(gpu.id)) or await self._reason(
                gpu, inspected.get(gpu.id, {})
            )
            if reason is not None:
                reasons[gpu.id] = reason
        # One that is held comes not back when its holder ends.
        held = {gpu.id for gpu in self._gpus} - {gpu.id for gpu in free}
        kept_out = {each: describe_quarantine(quarantines.get(each)) for each in held}
        return reasons | {each: reason for each, reason in kept_out.items() if reason is not None}

    async def _reason(self, gpu: Gpu, processes: Mapping[int, Inspected | None]) -> str | None:
        state = self._monitor.state(gpu.id)
        if state is None:
            return None
        if state.fault is not None or state.reading is None:
            return state.fault
        for pid, found in processes.items():
            reason = await self._process_reason(gpu, pid, found)
            if reason is not None:
                return reason
        return self._memory_reason(gpu, state.reading, state.at)

    async def _process_reason(self, gpu: Gpu, pid: int, found: Inspected | None) -> str | None:
        if found is None:
            if pid in self._visible:
                return None  # it has ended since
            return f"is used by process {pid}, which is not visible to the server"
        if found.process.has_ended:
            return None
        owner = found.owner
        job = None if owner is None else await self._store.queries.find(owner.job_id)
        if owner is None or not (job or await self._store.queries.was_known(owner.job_id)):
            return f"is used by process {pid} of user {found.user}"
        if job and job.status is Status.RUNNING and job.attempt == owner.attempt:
            return f"is used by job {owner.job_id}"
        await self._kill(gpu, found, owner)
        return f"has a process ({pid}) that job {owner.job_id} left, and that is being killed"

    def _memory_reason(self, gpu: Gpu, reading: "Reading", at: float) -> str | None:
        released_at, _ = self._released.get(gpu.id, (None, ""))
        if reading.memory_used <= MAX_FREE_BYTES:
            if released_at is not None and at > released_at:
                del self._released[gpu.id]
            return None
        if released_at is not None:
            return "has not released its memory yet"
        return f"has {_gib(reading.memory_used)} in use by no process that is visible to the server"

    async def _kill(self, gpu: Gpu, found: Inspected, owner: Owner) -> None:
        process = found.process
        key = (process.pid, process.started)
        is_first = key not in self._killed
        self._killed.add(key)
        await asyncio.to_thread(send_signal, process, signal.SIGKILL)
        asyncio.get_running_loop().call_later(RECHECK_SECONDS, self._wake.set)
        if is_first:
            log.warning("killed what a job left on a GPU", gpu=gpu.id, **vars(owner), pid=key[0])
            await self._store.gpus.note_killed(gpu.id, SERVER, process.pid, owner.job_id)

    async def _quarantine_if_stuck(self, gpu: Gpu) -> None:
        state = self._monitor.state(gpu.id)
        released_at, job_id = self._released.get(gpu.id, (None, ""))
        if released_at is None or state is None or state.reading is None or state.fault is not None:
            return
        used, is_late = state.reading.memory_used, time.monotonic() - released_at > self._release_s
        if not is_late or state.reading.processes or used <= MAX_FREE_BYTES:
            return
        reason = f"{_gib(used)} stayed in use after job {job_id} had ended"
        await self._store.gpus.quarantine(gpu.id, SERVER, reason)
        log.error("quarantined a GPU: nothing is started on it", gpu=gpu.id, why=reason)
        self._released.pop(gpu.id, None)
        self._wake.set()

    async def _inspect(self, gpu_ids: Iterable[str]) -> dict[str, dict[int, Inspected | None]]:
        pids = {}
        for gpu_id in gpu_ids:
            state = self._monitor.state(gpu_id)
            if state is not None and state.reading is not None:
                pids[gpu_id] = [each.pid for each in state.reading.processes]
        every = sorted({pid for some in pids.values() for pid in some})
        if not every:
            return {gpu_id: {} for gpu_id in pids}
        run_dirs = {
            Owner(job.job_id, job.attempt): Path(job.run_dir)
            for job in await self._store.queries.running()
            if job.run_dir is not None
        }
        found = await asyncio.to_thread(inspect_processes, every, run_dirs)
        known = {pid: self._with_known_owner(each) for pid, each in found.items()}
        return {gpu_id: {pid: known[pid] for pid in some} for gpu_id, some in pids.items()}

    def _with_known_owner(self, found: Inspected | None) -> Inspected | None:
        """Return it with the owner that it was found to have before it hid."""
        if found is None:
            return None
        process = found.process
        self._visible.add(process.pid)
        key = (process.pid, process.started)
        owner = self._owners.setdefault(key, found.owner) if found.owner else self._owners.get(key)
        return Inspected(process, owner, found.user)

    def _forget(self, pids: set[int]) -> None:
        """Forget processes that are on no GPU any more."""
        self._owners = {key: owner for key, owner in self._owners.items() if key[0] in pids}
        self._killed = {key for key in self._killed if key[0] in pids}
        self._visible &= pids


def holder_of(gpu: Gpu, holds: Mapping[str, Hold]) -> Hold | None:
    """Return who holds a GPU, also by its index, as a server that found no NVML named it."""
    return holds.get(gpu.id) or holds.get(str(gpu.index))


def describe_quarantine(quarantine: Quarantine | None) -> str | None:
    """Return why a quarantined GPU must not be used; None if it is not quarantined."""
    if quarantine is None:
        return None
    return f"is quarantined since {quarantine.since} by {quarantine.by}: {quarantine.reason}"


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB"
