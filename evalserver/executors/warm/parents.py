"""All warm parents of a server: which there are, when one is started, and when one is ended."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

import structlog

from evalserver.executors.warm.key import ParentKey, key_of
from evalserver.executors.warm.memory import Memory, available_share
from evalserver.executors.warm.parent import (
    START_SECONDS,
    ParentState,
    ParentUnusable,
    WarmParent,
)
from evalserver.executors.warm.tried import untried_reason
from evalserver.runner.launch_spec import ColdStart, LaunchSpec, WarmPlan

log = structlog.get_logger("evalserver.executors.warm")

WATCH_SECONDS = 5.0
PAUSES = (0.0, 60.0, 1800.0)
"""Seconds until another parent is started after one, two, and more failures in a row."""

CLOSED = ColdStart("closed", "the server is stopping")
NOT_THERE = ColdStart("loading", "there was no warm parent yet")
LOADING = ColdStart("loading", "the warm parent was still loading")


@dataclass(frozen=True)
class WarmLimits:
    """How many parents there may be at once, after how many seconds without a start one is ended,
    which share of the machine's memory must stay available, and how many seconds a start may
    take."""

    max_parents: int = 4
    idle_s: float = 1800.0
    min_available: float = 0.1
    start_s: float = START_SECONDS


@dataclass(frozen=True)
class ParentStatus:
    """One parent, for people. ``memory`` is None if its process is not there."""

    engine: str
    state: ParentState
    pid: int | None
    version: str | None
    starts: int
    unused_s: float
    memory: Memory | None


@dataclass
class _Failures:
    """Failures of the parents of one key in a row, and the last one."""

    count: int
    until: float
    cold: ColdStart


class WarmParents:
    """The warm parents of a server, each for one key (``key.py``). ``logs`` is the directory of
    what they print. ``close`` ends all of them."""

    def __init__(self, logs: Path, limits: WarmLimits | None = None) -> None:
        self._logs = logs
        self._limits = limits or WarmLimits()
        self._parents: dict[ParentKey, WarmParent] = {}
        self._failures: dict[ParentKey, _Failures] = {}
        self._loading: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()
        self._is_closed = False

    async def find(self, spec: LaunchSpec) -> WarmParent | ColdStart:
        """Return the parent that can start the attempt now, or why there is none.

        If there could be one, it begins to load, for later attempts.
        """
        plan = spec.warm
        if isinstance(plan, ColdStart):
            return plan
        try:
            key = await asyncio.to_thread(key_of, spec, plan)
        except OSError as error:
            return ColdStart("failed", f"evalserver's own code cannot be read: {error}")
        parent = self._parents.get(key)
        if parent is None or parent.has_ended:
            return self._begin(key, plan)
        return parent if parent.state is ParentState.READY else LOADING

    def on_started(self, parent: WarmParent) -> None:
        """Record that a parent has started an attempt."""
        self._failures.pop(parent.key, None)

    def on_failed(self, parent: WarmParent, cold: ColdStart) -> None:
        """Record that a parent could not start an attempt, and that another one is needed."""
        log.info(
            "a warm parent is replaced", engine=parent.plan.engine, pid=parent.pid, why=cold.why
        )
        self._remove(parent)
        self._add_failure(parent.key, cold)
        self._begin(parent.key, parent.plan)

    async def status(self) -> list[ParentStatus]:
        """Return all parents."""
        now = time.monotonic()
        return [
            ParentStatus(
                each.plan.engine,
                each.state,
                each.pid,
                each.version,
                each.starts,
                now - each.used_at,
                await each.memory(),
            )
            for each in self._parents.values()
            if not each.has_ended
        ]

    async def watch(self) -> None:
        """Until cancelled, end the parents that are not used, or must make room."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            await self.check()

    async def check(self) -> None:
        """End the parents that are not used, or must make room."""
        for parent in list(self._parents.values()):
            why = await self._why_end(parent)
            if why is not None and not parent.is_busy:
                log.info("ending a warm parent", engine=parent.plan.engine, pid=parent.pid, why=why)
                self._remove(parent)
                await parent.end()

    async def close(self) -> None:
        """End all parents. Attempts that they started continue."""
        self._is_closed = True
        for task in self._loading:
            task.cancel()
        await asyncio.gather(*self._loading, return_exceptions=True)
        await asyncio.gather(*(parent.end() for parent in self._parents.values()))
        self._parents.clear()

    def _begin(self, key: ParentKey, plan: WarmPlan) -> ColdStart:
        """Begin to load a parent, unless there is a reason against it; return why there is none."""
        if self._is_closed:
            return CLOSED
        failures = self._failures.get(key)
        if failures is not None and time.monotonic() < failures.until:
            return failures.cold
        if available_share() < self._limits.min_available:
            return ColdStart("memory", "the machine has too little memory for a warm parent")
        if not self._make_room():
            return ColdStart("full", "as many warm parents as allowed are loading or in use")
        parent = WarmParent(key, plan, self._free_log(), self._limits.start_s)
        self._parents[key] = parent
        task = asyncio.create_task(self._load(parent), name="load a warm parent")
        self._loading.add(task)
        task.add_done_callback(self._loading.discard)
        return NOT_THERE

    async def _load(self, parent: WarmParent) -> None:
        try:
            # One at a time: each takes a core for seconds.
            async with self._turn:
                untried = await untried_reason(parent.key, parent.plan)
                if untried is not None:
                    await self._drop(parent, ColdStart("untried", untried), for_long=True)
                    return
                await asyncio.to_thread(self._logs.mkdir, mode=0o700, exist_ok=True)
                await parent.load()
        except (ParentUnusable, OSError) as error:
            cold = ColdStart("unusable", f"the harness cannot be imported ahead: {error}")
            await self._drop(parent, cold)
            return
        except BaseException:
            await parent.end()
            raise
        log.info("a warm parent is ready", engine=parent.plan.engine, pid=parent.pid)

    async def _drop(self, parent: WarmParent, cold: ColdStart, *, for_long: bool = False) -> None:
        log.info("no warm starts now", engine=parent.plan.engine, why=cold.why)
        self._remove(parent)
        self._add_failure(parent.key, cold, for_long=for_long)
        await parent.end()

    def _add_failure(self, key: ParentKey, cold: ColdStart, *, for_long: bool = False) -> None:
        before = self._failures.get(key)
        count = 1 if before is None else before.count + 1
        pause = PAUSES[-1] if for_long else PAUSES[min(count, len(PAUSES)) - 1]
        self._failures[key] = _Failures(count, time.monotonic() + pause, cold)

    def _remove(self, parent: WarmParent) -> None:
        if self._parents.get(parent.key) is parent:
            del self._parents[parent.key]

    def _make_room(self) -> bool:
        """Begin to end the parent that was not used for the longest time, if there are too many.

        Returns whether another one may be started.
        """
        for parent in [each for each in self._parents.values() if each.has_ended]:
            self._retire(parent)
        if len(self._parents) < self._limits.max_parents:
            return True
        unused = [
            each
            for each in self._parents.values()
            if each.state is ParentState.READY and not each.is_busy
        ]
        if not unused:
            return False
        oldest = min(unused, key=lambda parent: parent.used_at)
        log.info("ending a warm parent", engine=oldest.plan.engine, pid=oldest.pid, why="room")
        self._retire(oldest)
        return True

    def _retire(self, parent: WarmParent) -> None:
        """Begin to end a parent, also one whose process has ended: its socket is still open."""
        self._remove(parent)
        ending = asyncio.create_task(parent.end(), name="end a warm parent")
        self._loading.add(ending)
        ending.add_done_callback(self._loading.discard)

    async def _why_end(self, parent: WarmParent) -> str | None:
        if parent.has_ended:
            return "its process has ended"
        if parent.state is not ParentState.READY:
            return None
        if time.monotonic() - parent.used_at > self._limits.idle_s:
            return f"it was not used for {self._limits.idle_s:g} s"
        if available_share() < self._limits.min_available:
            return "the machine has too little memory"
        return None

    def _free_log(self) -> Path:
        used = {parent.log for parent in self._parents.values()}
        numbers = range(1, len(used) + 2)
        return next(path for n in numbers if (path := self._logs / f"{n}.log") not in used)
