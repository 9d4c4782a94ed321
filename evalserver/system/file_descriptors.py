"""File descriptors: how many the system allows this process, and how many connections that makes.

Where descriptors run out, everything fails at once: connections, the database, starting an
evaluation. So they are counted before: connections get no more than leave enough for the rest.
"""

import resource
from dataclasses import dataclass

DESCRIPTORS_PER_CONNECTION = 2
"""The socket, and the file that its answer is read from."""

RESERVED_DESCRIPTORS = 192
"""For the database, listening sockets, the log, threads that walk through directories, programs
that are being started, connections of the local socket and connections that are refused."""

MIN_CONNECTIONS = 8
"""A server that can have fewer is not worth starting."""


class TooFewDescriptors(Exception):
    """The system allows too few open files for a server; says what to do."""


@dataclass(frozen=True)
class DescriptorLimit:
    """The soft and the hard limit of open files of this process."""

    soft: int
    hard: int

    @property
    def connections(self) -> int:
        """How many connections fit below the soft limit."""
        return max(0, (self.soft - RESERVED_DESCRIPTORS) // DESCRIPTORS_PER_CONNECTION)


def raise_limit(connections: int) -> DescriptorLimit:
    """Raise the soft limit as far as so many connections need it, and return what it is now.

    It is never lowered, and never above the hard limit. Raises TooFewDescriptors.
    """
    soft, hard = (_number(limit) for limit in resource.getrlimit(resource.RLIMIT_NOFILE))
    wanted = min(descriptors_needed(connections), hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, _unlimited_if_huge(hard)))
        soft = wanted
    limit = DescriptorLimit(soft, hard)
    if limit.connections < min(connections, MIN_CONNECTIONS):
        raise TooFewDescriptors(
            f"the system allows this process {soft} open files, and a server needs at least"
            f" {descriptors_needed(MIN_CONNECTIONS)}; raise the limit (ulimit -Hn, or LimitNOFILE"
            " of its systemd unit)"
        )
    return limit


def descriptors_needed(connections: int) -> int:
    """How many descriptors a server with so many connections needs."""
    return RESERVED_DESCRIPTORS + DESCRIPTORS_PER_CONNECTION * connections


_HUGE = 2**63


def _number(limit: int) -> int:
    return _HUGE if limit == resource.RLIM_INFINITY else limit


def _unlimited_if_huge(limit: int) -> int:
    return resource.RLIM_INFINITY if limit == _HUGE else limit
