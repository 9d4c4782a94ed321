"""Hooks that schemathesis runs before it sends a request; loaded by it, not by pytest."""

from pathlib import Path, PurePath
from typing import Any

import schemathesis

EXACT = 2**53
ONLY_THE_SERVER_KNOWS = ("env_profile", "executor", "harness_args", "lease", "seed")
"""Fields of which the valid values are in the settings, or depend on the engine or on files."""
LEFT_OUT = {
    # Waiting would take too long; a dry run creates no job to ask for; and only the server knows
    # the valid names, and whether a metric says which samples are right.
    "query": (
        "wait",
        "follow",
        "dry_run",
        "validate",
        "metric",
        "filter",
        "only",
        "job_task",
        "job_metric",
        "job_filter",
        "baseline_is",
        "job_is",
    ),
    # Reusing a key with another body is rejected, as it should be.
    "headers": ("Idempotency-Key",),
}
LONGEST_CURSOR = 64
LONGEST_OF_JOBS = 4096
LONGEST_PATH = 2048
LONGEST_ID = 64
MAX_JOBS, MAX_PATHS = 1000, 20
SWEEP = {"base": {"model": "dummy", "tasks": ["mme"]}, "over": {"seed": [1, 2]}}
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
    """Keep requests from waiting, and from writing outside the server's working directory.

    Whether a harness knows a generated name is beyond the description.
    """
    for part, names in LEFT_OUT.items():
        for name in names:
            (getattr(case, part) or {}).pop(name, None)
    if case.operation.label in ("POST /evaluate", "POST /batches"):
        case.query = {**(case.query or {}), "validate": "false"}
    if case.operation.path == "/compare":
        _name_jobs_or_a_batch(case)
    if case.operation.path == "/gate":
        _ask_for_a_verdict(case.query if case.operation.method == "get" else case.body)
    if case.operation.path == "/leaderboard":
        # Each needs the other.
        for name in ("pick", "step"):
            (case.query or {}).pop(name, None)
    _keep_the_jobs(case)
    # Only the server knows which strings are valid cursors.
    cursor = (case.query or {}).get("cursor")
    longest = LONGEST_OF_JOBS if case.operation.path == "/jobs" else LONGEST_CURSOR
    if isinstance(cursor, str) and 0 < len(cursor) <= longest:
        del case.query["cursor"]
    # Jobs after an event have a fixed order.
    if "finished_after" in (case.query or ()):
        case.query.pop("sort", None)
    body = case.body
    if case.operation.label == "POST /webhooks":
        _make_url_valid(body)
    if case.operation.path == "/batches" and isinstance(body, dict):
        if _is_sweep(body.get("sweep")):
            body["sweep"] = SWEEP
        jobs = body.get("jobs")
        for each in jobs if isinstance(jobs, list) else ():
            _make_request_acceptable(each, is_evaluation=True)
    _make_request_acceptable(body, is_evaluation=case.operation.path == "/evaluate")


def _make_url_valid(body: Any) -> None:
    """A pattern cannot say which URLs are valid."""
    if isinstance(body, dict) and str(body.get("url", "")).startswith("http"):
        body["url"] = "https://hooks.lab.example/evals"


def _ask_for_a_verdict(asked: Any) -> None:
    """Ask with a margin, which the description cannot require in place of a policy, and not beside
    the same job."""
    if not isinstance(asked, dict):
        return
    if asked.pop("policy", None) is not None and "max_relative_drop" not in asked:
        asked.setdefault("max_drop", 0.01)
    if not {"max_drop", "max_relative_drop"} & asked.keys():
        asked["max_drop"] = 0.01
    if asked.get("job") == asked.get("baseline") and isinstance(asked.get("job"), str):
        asked["baseline"] = "previous"


def _make_request_acceptable(body: Any, *, is_evaluation: bool) -> None:
    """Remove what only the server knows to be valid, and keep paths in the working directory."""
    if not isinstance(body, dict):
        return
    # Only the engine knows which fields it rejects.
    if body.get("engine") == "inspect":
        del body["engine"]
    if is_evaluation:
        for name in ONLY_THE_SERVER_KNOWS:
            body.pop(name, None)
        # A description cannot say that it needs two other fields.
        if body.get("on_newer") == "supersede":
            del body["on_newer"]
        if isinstance(body.get("tasks"), list):
            # Inspect's own spelling, PACKAGE/TASK, is a path for other engines.
            body["tasks"] = [
                each.replace("/", "_") if isinstance(each, str) else each for each in body["tasks"]
            ]
    if isinstance(body.get("output_dir"), str):
        path = PurePath(body["output_dir"])
        if path.is_absolute():
            body["output_dir"] = str(path.relative_to(path.anchor))
    _keep_in_here(body)
    _keep_in_here(body.get("lmms_engine_kwargs"))


def _is_sweep(value: Any) -> bool:
    """Whether this is what the description says of a sweep; which values are valid in which field
    is more than it can say."""
    if not isinstance(value, dict) or set(value) != {"base", "over"}:
        return False
    base, over = value["base"], value["over"]
    is_outline = isinstance(base, dict) and isinstance(over, dict) and 1 <= len(over) <= MAX_PATHS
    return is_outline and all(
        isinstance(values, list) and 1 <= len(values) <= MAX_JOBS for values in over.values()
    )


def _name_jobs_or_a_batch(case: Any) -> None:
    """One of the two alternatives is required."""
    query = case.query or {}
    if "job" in query:
        batch = query.get("batch_id")
        if isinstance(batch, str) and 1 <= len(batch) <= LONGEST_ID:
            del query["batch_id"]
    elif "batch_id" not in query:
        case.query = {**query, "batch_id": "none"}


def _keep_in_here(values: Any) -> None:
    """Absolute paths are inside the server's working directory, which is allowed."""
    for name in WHOLE_PATHS if isinstance(values, dict) else ():
        path = values.get(name)
        if isinstance(path, str) and path.startswith("/"):
            values[name] = f"{Path.cwd()}{path}"[:LONGEST_PATH]


def _keep_the_jobs(case: Any) -> None:
    """Pruning must find nothing to prune: other requests need the existing jobs."""
    if case.operation.path == "/prune":
        # One of the two alternatives is required.
        case.query = (
            {"older_than_s": "86400"} if "older_than_s" in (case.query or ()) else {"keep": "100"}
        )
    if case.operation.path == "/jobs/{job_id}/prune":
        case.path_parameters["job_id"] = "none"


def _without_whole_floats(value: Any) -> Any:
    # JSON Schema cannot tell 1.0 from 1, but the server rejects 1.0 for an integer: a limit of
    # 1.0 could mean all samples, or one.
    if isinstance(value, dict):
        return {key: _without_whole_floats(below) for key, below in value.items()}
    if isinstance(value, list):
        return [_without_whole_floats(each) for each in value]
    whole = isinstance(value, float) and value.is_integer() and abs(value) <= EXACT
    return int(value) if whole else value
