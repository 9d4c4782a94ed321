"""The clients for training runs, notebooks and the command line. They know HTTP, not the server."""

from evalserver.client.clients import AsyncEvalClient, EvalClient
from evalserver.client.errors import (
    JobCancelled,
    JobFailed,
    NotFound,
    Pruned,
    RequestFailed,
    ServerUnreachable,
)
from evalserver.client.events import Event
from evalserver.core.lease_marks import is_leased

__all__ = [
    "AsyncEvalClient",
    "EvalClient",
    "Event",
    "JobCancelled",
    "JobFailed",
    "NotFound",
    "Pruned",
    "RequestFailed",
    "ServerUnreachable",
    "is_leased",
]
