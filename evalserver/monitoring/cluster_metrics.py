"""The Prometheus metrics of clusters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prometheus_client import Gauge

from evalserver.monitoring.instrument import Instrument

CLUSTER_REACHABLE = Instrument(
    Gauge,
    "evalserver_cluster_reachable",
    "1 while a cluster can be asked for its jobs, else 0.",
    ("executor",),
)
CLUSTER_JOBS = Instrument(
    Gauge,
    "evalserver_cluster_jobs",
    "Jobs that were handed over to a cluster and wait (queued) or run there.",
    ("executor", "status"),
)

CLUSTER_TABLE = (CLUSTER_REACHABLE, CLUSTER_JOBS)


@dataclass(frozen=True)
class ClusterValues:
    """The values of one cluster: its name, and how many jobs wait and run there."""

    name: str
    reachable: bool
    waiting: int
    running: int


def set_cluster_gauges(
    gauges: Mapping[Instrument[Any], Any], clusters: Sequence[ClusterValues]
) -> None:
    """Set the gauges to the values of the clusters."""
    for each in clusters:
        gauges[CLUSTER_REACHABLE].labels(each.name).set(each.reachable)
        gauges[CLUSTER_JOBS].labels(each.name, "queued").set(each.waiting)
        gauges[CLUSTER_JOBS].labels(each.name, "running").set(each.running)
