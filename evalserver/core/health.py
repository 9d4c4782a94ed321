"""The server's health: its current faults, each under a unique name.

The component that detects a fault reports it, and clears it when it is over. ``GET /health`` shows
the faults.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """What is wrong, as a sentence, and whether submissions are rejected because of it."""

    reason: str
    refuses_jobs: bool = False


class Health:
    """The current faults of the server. Thread-safe."""

    def __init__(self) -> None:
        self._faults: dict[str, Fault] = {}

    def report(self, name: str, reason: str, *, refuses_jobs: bool = False) -> None:
        """Report a fault; it replaces the one reported under the same name before."""
        self._faults[name] = Fault(reason, refuses_jobs)

    def clear(self, name: str) -> None:
        """Clear the fault with this name, if there is one."""
        self._faults.pop(name, None)

    def reason(self, name: str) -> str | None:
        """The reason of the fault with this name, or None."""
        fault = self._faults.get(name)
        return None if fault is None else fault.reason

    @property
    def degraded_reason(self) -> str | None:
        """All faults in one line; None when there are none."""
        return _joined(list(self._faults.values()))

    @property
    def refusal_reason(self) -> str | None:
        """Why submissions are rejected; None while they are accepted."""
        return _joined([fault for fault in self._faults.values() if fault.refuses_jobs])


def _joined(faults: list[Fault]) -> str | None:
    return "; ".join(fault.reason for fault in faults) or None
