"""What schemathesis does before it sends a request; loaded by it, not by pytest."""

from pathlib import Path, PurePath
from typing import Any

import schemathesis

EXACT = 2**53
LEFT_OUT = {
    # Each call would take its time; a plan has no job that could be asked for; which names there
    # are, only the server knows.
    "query": ("wait", "follow", "dry_run", "validate", "metric", "filter"),
    # Another body under a key that was used is refused, as it should be.
    "headers": ("Idempotency-Key",),
}
LONGEST_CURSOR = 64
LONGEST_OF_JOBS = 4096
LONGEST_PATH = 2048
WHOLE_PATHS = ("checkpoint_path", "model_path", "output_path")


@schemathesis.hook
def map_body(_context: Any, body: Any) -> Any:
    """Integers as the server wants them."""
    return _without_whole_floats(body)


@schemathesis.hook
def map_query(_context: Any, query: Any) -> Any:
    """Integers as the server wants them."""
    return _without_whole_floats(query)


@schemathesis.hook
def before_call(_context: Any, case: Any, **_kwargs: Any) -> None:
    """Nothing waits, and nothing is written outside of the directory that the server runs in.

    Whether a harness knows a name that was made up is no question of the description.
    """
    for part, names in LEFT_OUT.items():
        for name in names:
            (getattr(case, part) or {}).pop(name, None)
    if case.operation.path == "/evaluate":
        case.query = {**(case.query or {}), "validate": "false"}
    _keep_the_jobs(case)
    # Of what looks like a cursor, only the server knows which is one.
    cursor = (case.query or {}).get("cursor")
    longest = LONGEST_OF_JOBS if case.operation.path == "/jobs" else LONGEST_CURSOR
    if isinstance(cursor, str) and 0 < len(cursor) <= longest:
        del case.query["cursor"]
    # Jobs behind an event have an order of their own.
    if "finished_after" in (case.query or ()):
        case.query.pop("sort", None)
    body = case.body
    # Which fields an engine has no use for, it says itself.
    if isinstance(body, dict) and body.get("engine") == "inspect":
        del body["engine"]
    if isinstance(body, dict) and isinstance(body.get("output_dir"), str):
        path = PurePath(body["output_dir"])
        if path.is_absolute():
            body["output_dir"] = str(path.relative_to(path.anchor))
    _keep_in_here(body)
    if isinstance(body, dict):
        _keep_in_here(body.get("lmms_engine_kwargs"))


def _keep_in_here(values: Any) -> None:
    """Whole paths lie in the directory that the server runs in, and that it allows."""
    for name in WHOLE_PATHS if isinstance(values, dict) else ():
        path = values.get(name)
        if isinstance(path, str) and path.startswith("/"):
            values[name] = f"{Path.cwd()}{path}"[:LONGEST_PATH]


def _keep_the_jobs(case: Any) -> None:
    """What prunes finds nothing to prune: other requests are about the jobs that are there."""
    if case.operation.path == "/prune":
        # Of the two that may be given, one has to be.
        case.query = (
            {"older_than_s": "86400"} if "older_than_s" in (case.query or ()) else {"keep": "100"}
        )
    if case.operation.path == "/jobs/{job_id}/prune":
        case.path_parameters["job_id"] = "none"


def _without_whole_floats(value: Any) -> Any:
    # JSON Schema cannot tell 1.0 from 1, and the server refuses the one for the other: a limit of
    # 1.0 may be meant as all samples, or as one.
    if isinstance(value, dict):
        return {key: _without_whole_floats(below) for key, below in value.items()}
    if isinstance(value, list):
        return [_without_whole_floats(each) for each in value]
    whole = isinstance(value, float) and value.is_integer() and abs(value) <= EXACT
    return int(value) if whole else value
