"""Keeps GPUs that are not free from being used: with processes, memory that is still in use, faults
or a quarantine. What an ended attempt left on one is killed."""

import asyncio
import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import structlog

from evalserver.core.clock import timestamp, utc_now
from evalserver.core.lifecycle import SERVER, EventKind, Status
from evalserver.gpus.inventory import Gpu
from evalserver.gpus.memory import MemoryLimits, Release
from evalserver.gpus.monitor import GpuMonitor
from evalserver.gpus.process_owners import Processes, ProcessOwners, Role
from evalserver.gpus.processes import Inspected, Owner
from evalserver.runner.procfs import send_signal
from evalserver.store import CommittedEvent, Hold, Quarantine, Store, StoreUnavailable

log = structlog.get_logger("evalserver.gpus")

RECHECK_SECONDS = 0.2
"""After processes were killed: they need a moment to end."""


class GpuGuard:
    """Says which of the GPUs that are not held must not be used. Await ``watch`` in a task.

    ``runs`` is the directory of all jobs of this server, by which its processes are known.
    """

    def __init__(
        self,
        gpus: Sequence[Gpu],
        monitor: GpuMonitor,
        store: Store,
        runs: Path,
        limits: MemoryLimits | None = None,
    ) -> None:
        self._gpus = gpus
        self._monitor = monitor
        self._store = store
        self._limits = limits or MemoryLimits()
        self._owners = ProcessOwners(store, runs)
        self._listeners: list[Callable[[], None]] = []
        self._wake = asyncio.Event()
        self._releases: dict[str, Release] = {}
        """Of GPUs that an attempt held last, until their memory is free."""
        self._killed: set[tuple[int, int]] = set()
        self._last: Mapping[str, str] = {}
        monitor.subscribe(self._wake.set)
        store.subscribe(self._on_event)

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` when the answer of ``check`` may have changed."""
        self._listeners.append(listener)

    def wake(self) -> None:
        """Watch again now, as after a quarantine or its end; listeners are called if it matters."""
        self._wake.set()

    def processes(self, gpu_id: str) -> Processes:
        """Return the processes on a GPU by pid, as of the last check."""
        return self._owners.on_gpu(gpu_id)

    async def unavailable(self) -> Mapping[str, str]:
        """Return for each GPU that must not be used why, as the rest of a sentence after its name,
        as of the last readings: of those that are held, only the quarantined ones. Changes nothing.
        Raises StoreUnavailable."""
        return await self._reasons(await self._free(), 0.0)

    async def check(self) -> Mapping[str, str]:
        """Read the GPUs that are not held, kill what ended attempts left on them, and return what
        ``unavailable`` does. One that cannot be read now must not be used, either. For a start.
        Raises StoreUnavailable."""
        requested_at = time.monotonic()
        free = await self._free()
        await self._monitor.refresh(gpu.id for gpu in free)
        await self._clean(free)
        self._last = await self._reasons(free, requested_at)
        return self._last

    async def watch(self) -> None:
        """Until cancelled, look after each reading: remember whose processes there are, kill what
        ended attempts left, quarantine GPUs whose memory stays in use, and call listeners."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._watch_once()
            except StoreUnavailable as error:
                log.warning("the GPUs cannot be checked", why=str(error))

    async def _watch_once(self) -> None:
        free = await self._free()
        if self._killed:
            await self._monitor.refresh(gpu.id for gpu in free)
        await self._clean(free)
        for gpu in free:
            await self._quarantine_if_stuck(gpu)
        reasons = await self._reasons(free, 0.0)
        if reasons != self._last:
            self._last = reasons
            for listener in self._listeners:
                listener()

    def _on_event(self, event: CommittedEvent) -> None:
        gpu_ids = self._ids(event.gpus or ())
        if event.kind is EventKind.CLAIMED:
            for gpu_id in gpu_ids:
                self._releases.pop(gpu_id, None)
        elif event.before is Status.RUNNING and event.after is not Status.RUNNING:
            release = Release(time.monotonic(), event.job_id)
            self._releases |= dict.fromkeys(gpu_ids, release)

    def _ids(self, names: Iterable[str]) -> list[str]:
        """Return the ids of managed GPUs, which a record may name by their indices."""
        return [gpu.id for gpu in self._gpus if not {gpu.id, str(gpu.index)}.isdisjoint(names)]

    async def _free(self) -> list[Gpu]:
        """Return the GPUs that are not held."""
        holds = await self._store.gpus.holds()
        return [gpu for gpu in self._gpus if holder_of(gpu, holds) is None]

    async def _clean(self, free: Sequence[Gpu]) -> None:
        """Find out whose processes are on the GPUs, kill left-overs on those that are not held, and
        forget releases whose memory is free."""
        states = {gpu.id: self._monitor.state(gpu.id) for gpu in self._gpus}
        pids = {
            gpu_id: [each.pid for each in state.reading.processes]
            for gpu_id, state in states.items()
            if state is not None and state.reading is not None
        }
        await self._owners.inspect(pids)
        every = {pid for some in pids.values() for pid in some}
        self._killed = {key for key in self._killed if key[0] in every}
        for gpu in free:
            for found in self.processes(gpu.id).values():
                if found is not None and found.owner is not None and not found.process.has_ended:
                    await self._kill_if_left(gpu, found, found.owner)
            state, release = states[gpu.id], self._releases.get(gpu.id)
            if state is not None and release is not None and self._limits.is_over(state, release):
                del self._releases[gpu.id]

    async def _kill_if_left(self, gpu: Gpu, found: Inspected, owner: Owner) -> None:
        if await self._owners.role(owner) is not Role.LEFTOVER:
            return
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
        state, release = self._monitor.state(gpu.id), self._releases.get(gpu.id)
        if state is None:
            return
        reason = self._limits.quarantine_reason(state, release, time.monotonic())
        if reason is None:
            return
        await self._store.gpus.quarantine(gpu.id, SERVER, reason)
        log.error("quarantined a GPU: nothing is started on it", gpu=gpu.id, why=reason)
        self._releases.pop(gpu.id, None)
        self._wake.set()

    async def _reasons(self, free: Sequence[Gpu], newer_than: float) -> dict[str, str]:
        """Return why GPUs must not be used; a free one also if its reading is not this new."""
        quarantines = await self._store.gpus.quarantines()
        found: dict[str, str | None] = {}
        for gpu in self._gpus:
            # One that is held and quarantined comes not back when its holder ends.
            found[gpu.id] = describe_quarantine(quarantines.get(gpu.id))
            if found[gpu.id] is None and gpu in free:
                found[gpu.id] = await self._reason(gpu, newer_than)
        return {gpu_id: reason for gpu_id, reason in found.items() if reason is not None}

    async def _reason(self, gpu: Gpu, newer_than: float) -> str | None:
        state = self._monitor.state(gpu.id)
        if state is None:
            return None
        if state.fault is not None:
            return state.fault
        if state.at < newer_than:
            age = timedelta(seconds=time.monotonic() - state.at)
            return f"has not been read since {timestamp(utc_now() - age)}"
        for pid, found in self.processes(gpu.id).items():
            reason = await self._process_reason(pid, found)
            if reason is not None:
                return reason
        return self._limits.reason(state, self._releases.get(gpu.id))

    async def _process_reason(self, pid: int, found: Inspected | None) -> str | None:
        if found is None:
            if self._owners.was_visible(pid):
                return None  # it has ended since
            return f"is used by process {pid}, which is not visible to the server"
        if found.process.has_ended:
            return None
        role = await self._owners.role(found.owner)
        if found.owner is None or role is Role.STRANGER:
            return f"is used by process {pid} of user {found.user}"
        if role is Role.RUNNING:
            return f"is used by job {found.owner.job_id}"
        job_id = found.owner.job_id
        return f"has a process ({pid}) that job {job_id} left, and that is being killed"


def holder_of(gpu: Gpu, holds: Mapping[str, Hold]) -> Hold | None:
    """Return who holds a GPU, also by its index, as a server that found no NVML named it."""
    return holds.get(gpu.id) or holds.get(str(gpu.index))


def describe_quarantine(quarantine: Quarantine | None) -> str | None:
    """Return why a quarantined GPU must not be used; None if it is not quarantined."""
    if quarantine is None:
        return None
    return f"is quarantined by {quarantine.by}: {quarantine.reason}"
