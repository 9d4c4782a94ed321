"""The error of a server that cannot start."""


class CannotStart(Exception):
    """The server cannot start; says why and what to do."""
