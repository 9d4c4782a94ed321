"""A row of a table of Prometheus metrics."""

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

M = TypeVar("M", Counter, Gauge, Histogram, Info)


@dataclass(frozen=True, eq=False)
class Instrument(Generic[M]):
    """A row of the table: type, name, description and labels of an instrument; and the upper bounds
    of the buckets of a histogram."""

    kind: type[M]
    name: str
    description: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()

    def create(self, registry: CollectorRegistry) -> M:
        """Create the instrument, with the value zero."""
        options: dict[str, Any] = {"buckets": self.bounds} if self.bounds else {}
        return self.kind(self.name, self.description, self.labels, registry=registry, **options)
