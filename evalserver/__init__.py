"""evalserver: a durable evaluation server that speaks lmms-eval's HTTP dialect.

The public names, and nothing else. ``launch_server`` is loaded when it is first used, so that
importing the package stays cheap in a training process.
"""

from typing import TYPE_CHECKING, Any

from evalserver.server_args import ServerArgs
from evalserver.version import __version__

if TYPE_CHECKING:
    from evalserver.http_server import launch_server

__all__ = ["ServerArgs", "__version__", "launch_server"]


def __getattr__(name: str) -> Any:
    if name == "launch_server":
        from evalserver.http_server import launch_server

        return launch_server
    raise AttributeError(f"module 'evalserver' has no attribute {name!r}")
