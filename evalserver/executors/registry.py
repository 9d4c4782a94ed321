"""The executors of a server, by the names that jobs have for them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from evalserver.executors.base import Cluster, Executor


@dataclass(frozen=True)
class Executors:
    """The server's own machine, and the clusters that jobs can be handed over to."""

    local: Executor
    clusters: Mapping[str, Cluster] = field(default_factory=dict)

    def of(self, name: str) -> Executor:
        """Return the executor with a name. Every name that is no cluster's is the own machine's."""
        return self.clusters.get(name, self.local)
