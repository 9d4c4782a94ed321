"""The clients: all that a training run, a notebook or the command line needs to use a server.

Knows HTTP, and nothing of the server's code.
"""

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
]
