"""Notifying the event loop of commits: listeners, then watchers, then waiting callers."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TypeVar

import structlog

from evalserver.core.in_steps import MAX_STEP_SECONDS
from evalserver.store.committed import Commit, CommittedEvent, Listener, Watcher

log = structlog.get_logger("evalserver.store")

T = TypeVar("T")

EVENTS_OF_A_STEP = 64


class Notifications:
    """Notifies in steps, those of a commit before those of the next."""

    def __init__(self) -> None:
        self.listeners: list[Listener] = []
        self.watchers: list[Watcher] = []
        self._steps: deque[Callable[[], object]] = deque()

    def add_commit(
        self, events: Sequence[CommittedEvent], commit: Commit | None, then: Callable[[], object]
    ) -> None:
        """Notify listeners of the events, watchers of the commit, and call ``then``."""
        slices = (
            events[first : first + EVENTS_OF_A_STEP]
            for first in range(0, len(events), EVENTS_OF_A_STEP)
        )
        steps = [partial(_notify, self.listeners, each) for each in slices]
        if commit is not None:
            steps.append(partial(_notify, self.watchers, [commit]))
        self.add([*steps, then])

    def add(self, steps: Iterable[Callable[[], object]]) -> None:
        """Take steps after those that were added before."""
        is_idle = not self._steps
        self._steps.extend(steps)
        if is_idle:
            self._take_steps()

    def _take_steps(self) -> None:
        # A batch has a thousand events: other requests are handled in between.
        until = time.perf_counter() + MAX_STEP_SECONDS
        try:
            while self._steps:
                self._steps.popleft()()
                if time.perf_counter() > until:
                    return
        finally:
            if self._steps:
                asyncio.get_running_loop().call_soon(self._take_steps)


def _notify(listeners: Sequence[Callable[[T], None]], news: Sequence[T]) -> None:
    # One listener after another, each with all of it: what it runs stays in the processor's caches.
    for listener in listeners:
        for each in news:
            try:
                listener(each)
            except Exception:  # the change is on disk: waiting callers must be notified
                log.exception("a listener of the store failed", news=each)
