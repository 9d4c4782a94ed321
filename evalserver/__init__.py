"""evalserver: a durable evaluation server that speaks lmms-eval's HTTP dialect.

The public names, and nothing else. What is not always needed is loaded when it is first used, so
that importing the package stays cheap in a training process.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from evalserver.version import __version__

if TYPE_CHECKING:
    from evalserver.client import (
        AsyncEvalClient,
        EvalClient,
        Event,
        JobCancelled,
        JobFailed,
        NotFound,
        Pruned,
        RequestFailed,
        ServerUnreachable,
        is_leased,
    )
    from evalserver.server.http_server import launch_server
    from evalserver.settings.server_args import ServerArgs

__all__ = [
    "AsyncEvalClient",
    "EvalClient",
    "Event",
    "JobCancelled",
    "JobFailed",
    "NotFound",
    "Pruned",
    "RequestFailed",
    "ServerArgs",
    "ServerUnreachable",
    "__version__",
    "is_leased",
    "launch_server",
]

HOMES = {
    "ServerArgs": "evalserver.settings.server_args",
    "launch_server": "evalserver.server.http_server",
}
"""Where those names are that are not the client's."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'evalserver' has no attribute {name!r}")
    return getattr(import_module(HOMES.get(name, "evalserver.client")), name)
