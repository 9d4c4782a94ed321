"""Names of tasks that a package of Inspect registers: ``package/task``, or ``package:task``."""

import re

IN_PACKAGE = re.compile(r"[A-Za-z_][\w.-]*/[A-Za-z_][\w-]*")
"""Inspect's own spelling. It is no path of a file: those have a suffix."""


def is_in_package(name: str) -> bool:
    """Return whether a name is ``package/task``."""
    return IN_PACKAGE.fullmatch(name) is not None


def with_colon(name: str) -> str:
    """Return ``package/task`` as ``package:task``, as it is recorded; other names unchanged."""
    return name.replace("/", ":") if is_in_package(name) else name
