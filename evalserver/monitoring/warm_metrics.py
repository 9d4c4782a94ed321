"""The Prometheus metrics of warm starts."""

from collections import Counter as Tally
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prometheus_client import Counter, Gauge

from evalserver.monitoring.instrument import Instrument

STARTS = Instrument(
    Counter,
    "evalserver_starts_total",
    "Attempts started on this machine: warm, or cold for a reason.",
    ("start", "reason"),
)
WARM_PARENTS = Instrument(
    Gauge,
    "evalserver_warm_parents",
    "Processes that start evaluations warm, by state.",
    ("engine", "state"),
)
WARM_MEMORY = Instrument(
    Gauge,
    "evalserver_warm_parents_memory_bytes",
    "Memory of these processes: resident, and what of it is shared with other processes.",
    ("kind",),
)

WARM_TABLE = (STARTS, WARM_PARENTS, WARM_MEMORY)


@dataclass(frozen=True)
class WarmValues:
    """The values of one warm parent; its memory in bytes."""

    engine: str
    state: str
    resident: int = 0
    shared: int = 0


def set_warm_gauges(gauges: Mapping[Instrument[Any], Any], parents: Sequence[WarmValues]) -> None:
    """Set the gauges to the values of the warm parents."""
    gauges[WARM_PARENTS].clear()
    for (engine, state), count in Tally((each.engine, each.state) for each in parents).items():
        gauges[WARM_PARENTS].labels(engine, state).set(count)
    gauges[WARM_MEMORY].labels("resident").set(sum(each.resident for each in parents))
    gauges[WARM_MEMORY].labels("shared").set(sum(each.shared for each in parents))
