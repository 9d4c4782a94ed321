"""How often one token, or one address, may ask."""

import time
from collections.abc import Callable

BURST_SECONDS = 10.0
"""So much of what is allowed in that time may come at once."""
MOST_KEYS = 10_000


class RateLimit:
    """At most ``per_second`` requests of each key, on average; 0: any number.

    For each key it keeps the moment until which its requests so far take up what is allowed.
    """

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval = 1 / per_second if per_second else 0.0
        self._burst = max(BURST_SECONDS, 2 * self._interval)
        self._clock = clock
        self._until: dict[str, float] = {}

    @property
    def is_on(self) -> bool:
        """Is there a limit at all?"""
        return self._interval > 0

    def wait_s(self, key: str) -> float:
        """Count a request; 0 when it may be answered, else the seconds after which one may."""
        now = self._clock()
        until = max(self._until.get(key, now), now) + self._interval
        excess = until - now - self._burst
        if excess > 0:
            return excess
        if len(self._until) >= MOST_KEYS and key not in self._until:
            self._forget(now)
        self._until[key] = until
        return 0.0

    def _forget(self, now: float) -> None:
        """Make room: without those that may ask as much as anybody, else without the oldest."""
        self._until = {key: until for key, until in self._until.items() if until > now}
        while len(self._until) >= MOST_KEYS:
            del self._until[next(iter(self._until))]
