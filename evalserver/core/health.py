"""The server's health: the faults that it has right now, each under a name of its own.

Who finds a fault reports it, and clears it when it is over. ``GET /health`` and its kin tell what
is here; nothing else is done about a fault in this module.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """What is wrong, as a sentence, and whether submissions are refused because of it."""

    reason: str
    refuses_jobs: bool = False


class Health:
    """The faults of one server. It may be used from any thread."""

    def __init__(self) -> None:
        self._faults: dict[str, Fault] = {}

    def report(self, name: str, reason: str, *, refuses_jobs: bool = False) -> None:
        """There is a fault; it takes the place of what was reported under this name before."""
        self._faults[name] = Fault(reason, refuses_jobs)

    def clear(self, name: str) -> None:
        """The fault of this name is over; it does not matter whether there was one."""
        self._faults.pop(name, None)

    def reason(self, name: str) -> str | None:
        """The reason of the fault of this name; None when there is no such fault."""
        fault = self._faults.get(name)
        return None if fault is None else fault.reason

    @property
    def degraded_reason(self) -> str | None:
        """Every fault, in one line; None when all is well."""
        return _joined(list(self._faults.values()))

    @property
    def refusal_reason(self) -> str | None:
        """Why submissions are refused; None when they are taken."""
        return _joined([fault for fault in self._faults.values() if fault.refuses_jobs])


def _joined(faults: list[Fault]) -> str | None:
    return "; ".join(fault.reason for fault in faults) or None
