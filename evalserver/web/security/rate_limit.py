"""Rate limits of requests, per token or address."""

import time
from collections.abc import Callable

BURST_SECONDS = 10.0
"""A burst may have as many requests as are allowed in this time."""
MAX_KEYS = 10_000


class RateLimit:
    """At most ``per_second`` requests of each key, on average; 0 for no limit.

    Implements the generic cell rate algorithm: one time per key.
    """

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval = 1 / per_second if per_second else 0.0
        self._burst = max(BURST_SECONDS, 2 * self._interval)
        self._clock = clock
        self._until: dict[str, float] = {}

    @property
    def is_on(self) -> bool:
        """Whether there is a limit."""
        return self._interval > 0

    def acquire(self, key: str) -> float:
        """Count a request; return 0 if it is allowed, else the seconds until one is allowed."""
        now = self._clock()
        until = max(self._until.get(key, now), now) + self._interval
        excess = until - now - self._burst
        if excess > 0:
            return excess
        if len(self._until) >= MAX_KEYS and key not in self._until:
            self._evict(now)
        self._until[key] = until
        return 0.0

    def _evict(self, now: float) -> None:
        """Remove keys whose requests no longer count, and the oldest ones if that is not enough."""
        self._until = {key: until for key, until in self._until.items() if until > now}
        while len(self._until) >= MAX_KEYS:
            del self._until[next(iter(self._until))]
