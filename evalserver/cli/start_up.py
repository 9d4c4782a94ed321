"""Avoiding slow imports, so that commands start quickly."""

import sys

COMMAND_OF_HTTPX = "httpx._main"


def disable_httpx_command() -> None:
    """Keep httpx from importing its own command line, which needs rich and pygments.

    That would take a quarter of the time in which a command starts. httpx works without it, as
    where these packages are not installed.
    """
    sys.modules.setdefault(COMMAND_OF_HTTPX, None)  # type: ignore[arg-type]
