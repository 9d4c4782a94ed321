"""The provenance of a job's metrics: collected while the job runs, recorded with its outcome."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from evalserver.checkpoints.fingerprints import Fingerprint, fingerprints
from evalserver.checkpoints.merging import model_args_before_merging
from evalserver.checkpoints.readiness import local_checkpoints
from evalserver.core.job import Job, NewJob, Outcome
from evalserver.core.masking import COMMAND_MASK, find_secrets, mask_secrets, masked
from evalserver.core.request import EvaluateRequest
from evalserver.engines import Engine
from evalserver.engines.environment import secret_values
from evalserver.engines.variables import is_recorded, is_secret_variable
from evalserver.executors import AttemptInfo, Executor, ExecutorError
from evalserver.runner.files import START_FILE
from evalserver.system.allowed_directories import AllowedDirectories
from evalserver.system.untrusted_files import UnreadableFile, UntrustedDirectory, read_json

CHECKPOINTS_FILE = "provenance.json"
"""In the run directory: the fingerprints of the checkpoints at the start of the attempt."""
MAX_CHECKPOINTS_BYTES = 64 * 1024 * 1024
STARTS = ("warm", "cold")
MAX_START_BYTES = 64 * 1024
MAX_REASON = 1000
PROBE_SECONDS = 60.0

RequestOf = Callable[[Job | NewJob], EvaluateRequest]


class HarnessProbe:
    """Asks harnesses what metrics depend on: versions, commit, GPUs. An answer is valid until
    something is installed into the environment of the harness."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._cache: dict[tuple[str, ...], tuple[int, dict[str, Any]]] = {}

    async def run(self, engine: Engine, environment: Mapping[str, str]) -> dict[str, Any]:
        """Return the answer; empty if the harness's interpreter cannot be asked."""
        argv = engine.probe_argv()
        installed_at, answer = self._cache.get(argv, (0, {}))
        if answer and _installed_at(answer) == installed_at:
            return answer
        try:
            printed = await self._executor.ask(argv, environment, PROBE_SECONDS)
            answer = json.loads(printed.strip().splitlines()[-1])
        except (ExecutorError, ValueError, IndexError):
            return {}
        # Files on PYTHONPATH, or installed editable, change without anything being installed.
        if answer.get("tree") is None and (installed_at := _installed_at(answer)):
            self._cache[argv] = installed_at, answer
        return dict(answer)


def submitted_request(job: Job | NewJob) -> EvaluateRequest:
    """Return the request of a job as it was submitted, without a lease."""
    return job.request


def at_start(
    job: Job,
    allowed: AllowedDirectories | None,
    *,
    full: bool,
    request_of: RequestOf = submitted_request,
) -> dict[str, str]:
    """Return the file (name to text) that records the checkpoints at the start of an attempt.

    ``request_of`` returns a job's request with the paths that its evaluation reads.
    """
    found = _fingerprints(job, request_of(job), allowed, full=full)
    return {CHECKPOINTS_FILE: json.dumps(found)} if found else {}


def at_submission(
    request: EvaluateRequest, allowed: AllowedDirectories | None
) -> dict[str, Any] | None:
    """Return the provenance that a job has from its submission on, or None."""
    found = fingerprints(model_args_before_merging(request), allowed, full=False)
    return {"checkpoints": {"submitted": found}} if found else None


def at_end(
    job: Job,
    engine: Engine,
    run_dir: Path,
    info: AttemptInfo,
    outcome: Outcome,
    probed: Mapping[str, Any],
    allowed: AllowedDirectories | None,
    *,
    full: bool,
    request_of: RequestOf = submitted_request,
) -> Outcome:
    """Return the outcome with its provenance, and marked if the weights changed meanwhile."""
    submitted = (job.provenance or {}).get("checkpoints", {}).get("submitted", {})
    started = _at_start(run_dir)
    read = request_of(job)
    ended = _fingerprints(job, read, allowed, full=full) if submitted or started else {}
    times = {"submitted": submitted, "started": started, "ended": ended}
    provenance = {
        **(outcome.provenance or {}),
        "harness": {name: probed.get(name) for name in ("version", "commit", "tree")}
        | {"name": engine.package or engine.name},
        **{name: probed.get(name) for name in ("interpreter", "python", "driver")},
        "packages": probed.get("packages", {}),
        "gpu_names": [gpu["name"] for gpu in probed.get("gpus", ())],
        "seed": job.request.seed,
        "harness_args": masked(job.request.harness_args),
        "environment": _environment(info, engine),
        **_how_started(run_dir, info),
    }
    if not any(times.values()):
        return replace(outcome, provenance=provenance)
    changed = _changed(times)
    provenance |= {"checkpoints": times, "weights_changed": changed}
    result = outcome.result and {
        model: {**part, "weights_changed": changed} for model, part in outcome.result.items()
    }
    return replace(outcome, provenance=provenance, result=result)


def _fingerprints(
    job: Job, read: EvaluateRequest, allowed: AllowedDirectories | None, *, full: bool
) -> dict[str, Fingerprint]:
    """Return the fingerprints of what the evaluation reads, under the paths of the request."""
    found = fingerprints(model_args_before_merging(read), allowed, full=full)
    named = local_checkpoints(model_args_before_merging(job.request))
    return {
        key: {**entry, "path": str(named.get(key, entry["path"]))} for key, entry in found.items()
    }


def _how_started(run_dir: Path, info: AttemptInfo) -> dict[str, str]:
    """Return whether the attempt was started warm or cold, and why cold; empty if unknown."""
    try:
        found = read_json(UntrustedDirectory.for_attempt(run_dir), START_FILE, MAX_START_BYTES)
    except UnreadableFile:
        return {}
    start, why = found.get("start"), found.get("why")
    if start not in STARTS:
        return {}
    if not isinstance(why, str):
        return {"start": start}
    return {"start": start, "start_reason": _storable(why[:MAX_REASON], [*info.secrets])}


def _changed(times: Mapping[str, Mapping[str, Any]]) -> bool:
    """Return whether a checkpoint changed before the end of the attempt, or was removed."""
    ended = times["ended"]
    before = [each for time in ("submitted", "started") for each in times[time].items()]
    return any(_differ(each, ended.get(key, {})) for key, each in before)


def _differ(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    contents = {before.get("content_digest"), after.get("content_digest")} - {None}
    return before["digest"] != after.get("digest") or len(contents) > 1


def _environment(info: AttemptInfo, engine: Engine) -> dict[str, str]:
    """Return the harness's variables that metrics may depend on, with secrets masked."""
    given = info.environment
    secrets = [*info.secrets, *find_secrets(given, secret_values(given))]
    recorded = {
        name: COMMAND_MASK if is_secret_variable(name) else _storable(value, secrets)
        for name, value in given.items()
        if is_recorded(name) or name in engine.settings.environment
    }
    return dict(sorted(recorded.items()))


def _storable(text: str, secrets: list[str]) -> str:
    masked: str = mask_secrets(text, secrets, COMMAND_MASK)
    # Undecodable bytes cannot be stored as JSON.
    return masked.encode(errors="replace").decode()


def _at_start(run_dir: Path) -> dict[str, Any]:
    """Read what ``at_start`` recorded, without entries that it cannot have written."""
    directory = UntrustedDirectory.for_attempt(run_dir)
    try:
        found = read_json(directory, CHECKPOINTS_FILE, MAX_CHECKPOINTS_BYTES)
        json.dumps(found).encode()
    except (UnreadableFile, ValueError):
        return {}
    return {
        name: entry
        for name, entry in found.items()
        if isinstance(entry, dict) and isinstance(entry.get("digest"), str)
    }


def _installed_at(answer: Mapping[str, Any]) -> int:
    """Return when something was last installed into the harness's environment; 0 if unknown."""
    try:
        return Path(answer["site"]).stat().st_mtime_ns
    except (OSError, KeyError, TypeError):
        return 0
