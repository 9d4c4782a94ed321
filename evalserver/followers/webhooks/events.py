"""The events that webhooks can ask for, by the names that messages have."""

from collections.abc import Mapping
from types import MappingProxyType

from evalserver.core.lifecycle import EventKind

JOB_EVENTS: Mapping[EventKind, str] = MappingProxyType(
    {
        EventKind.CLAIMED: "job.started",
        EventKind.STARTED: "job.started",
        EventKind.COMPLETED: "job.completed",
        EventKind.FAILED: "job.failed",
        EventKind.CANCELLED: "job.cancelled",
        EventKind.STALLED: "job.stalled",
        EventKind.JUDGED: "gate.verdict",
    }
)
"""Of the audit log. A job on a cluster is handed over, and then started."""

SERVER_EVENTS: Mapping[str, str] = MappingProxyType(
    {"drained": "server.drained", "disk_low": "server.disk_low"}
)
"""Of the log of the server itself."""

EVENT_TYPES = (*dict.fromkeys(JOB_EVENTS.values()), *SERVER_EVENTS.values())
"""All of them."""

TEST = "webhook.test"
"""Sent on request only."""
