"""Starting quickly: what is left out of what a command loads."""

import sys

COMMAND_OF_HTTPX = "httpx._main"


def leave_out_httpx_command() -> None:
    """Have httpx, once it is loaded, do without the command line that it brings.

    It loads that, and with it rich and pygments, wherever they are installed: a quarter of the
    time in which a command starts. httpx is made to go without where they are not.
    """
    sys.modules.setdefault(COMMAND_OF_HTTPX, None)  # type: ignore[arg-type]
