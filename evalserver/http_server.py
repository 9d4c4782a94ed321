"""The server under the name by which users of lmms-eval import it."""

from evalserver.server.http_server import launch_server

__all__ = ["launch_server"]
