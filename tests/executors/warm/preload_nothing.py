"""The preload program of the tests: a harness that is a module of the standard library."""

PACKAGE = "json"
DISTRIBUTION = "json"


def preload(include_path: str) -> None:
    """Import it."""
    import json

    del include_path, json
