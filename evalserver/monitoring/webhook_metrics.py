"""The Prometheus metrics of webhooks."""

from collections.abc import Mapping
from typing import Any

from prometheus_client import Counter, Gauge

from evalserver.monitoring.instrument import Instrument

ATTEMPTS = Instrument(
    Counter,
    "evalserver_webhook_attempts_total",
    "Attempts to deliver a message to a webhook: delivered or failed.",
    ("outcome",),
)
MESSAGES = Instrument(
    Gauge,
    "evalserver_webhook_messages",
    "Messages to webhooks that are not delivered: waiting or parked.",
    ("state",),
)

WEBHOOK_TABLE = (ATTEMPTS, MESSAGES)


def set_webhook_gauges(gauges: Mapping[Instrument[Any], Any], counts: Mapping[str, int]) -> None:
    """Set the gauges to the number of messages by state."""
    for state in ("waiting", "parked"):
        gauges[MESSAGES].labels(state).set(counts.get(state, 0))
