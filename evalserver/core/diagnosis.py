"""What ``evalserver doctor`` finds, whatever it looked at."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """A problem, and how to solve it. What was checked works unless a finding is ``grave``.

    The names of the fields are keys in the output of ``evalserver doctor --json``.
    """

    what: str
    do: str
    grave: bool = True
