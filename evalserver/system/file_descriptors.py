"""The limit of open files, and how many connections it allows.

When descriptors run out, everything fails: connections, the database, starting an evaluation. So
some are reserved, and only the rest is used for connections.
"""

import resource
from dataclasses import dataclass

DESCRIPTORS_PER_CONNECTION = 2
"""The socket, and the file that its response is read from."""

RESERVED_DESCRIPTORS = 192
"""For the database, listening sockets, the log, threads that list directories, programs that are
being started, connections of the local socket and connections that are rejected."""

MIN_CONNECTIONS = 8
"""A server that can have fewer connections does not start."""


class TooFewDescriptors(Exception):
    """The system allows too few open files for a server; says what to do."""


@dataclass(frozen=True)
class DescriptorLimit:
    """The soft and the hard limit of open files of this process."""

    soft: int
    hard: int

    @property
    def connections(self) -> int:
        """The number of connections that the soft limit allows."""
        return max(0, (self.soft - RESERVED_DESCRIPTORS) // DESCRIPTORS_PER_CONNECTION)


def raise_limit(connections: int) -> DescriptorLimit:
    """Raise the soft limit as needed for this many connections, and return the new limit.

    It is never lowered, and never exceeds the hard limit. Raises TooFewDescriptors.
    """
    soft, hard = (_to_number(limit) for limit in resource.getrlimit(resource.RLIMIT_NOFILE))
    wanted = min(descriptors_needed(connections), hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, _from_number(hard)))
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
    """Return how many descriptors a server with this many connections needs."""
    return RESERVED_DESCRIPTORS + DESCRIPTORS_PER_CONNECTION * connections


_UNLIMITED = 2**63


def _to_number(limit: int) -> int:
    return _UNLIMITED if limit == resource.RLIM_INFINITY else limit


def _from_number(limit: int) -> int:
    return resource.RLIM_INFINITY if limit == _UNLIMITED else limit
