"""By what, where and how a job's numbers were made: gathered along its way, told at its end."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from evalserver.checkpoints.fingerprints import fingerprints
from evalserver.checkpoints.merging import before_merging
from evalserver.core.job import Job, Outcome
from evalserver.core.masking import find_secrets, is_secret_name
from evalserver.core.request import EvaluateRequest
from evalserver.engines import Engine
from evalserver.executors import ExecutorError, environment_of
from evalserver.executors.ask import ask
from evalserver.system.allowed_directories import AllowedDirectories
from evalserver.system.untrusted_files import UnreadableFile, UntrustedDirectory, read_json

START_FILE = "provenance.json"
"""In the run directory: the checkpoints as they were at the start of the attempt."""
MAX_START_BYTES = 64 * 1024 * 1024
PROBE_SECONDS = 60.0
MASK = "***"

TOLD = (
    "CUDA_", "HF_", "HUGGINGFACE_", "TRANSFORMERS_", "TORCH", "PYTORCH_", "NCCL_", "VLLM_", "LMMS_",
    "OMP_", "MKL_", "OPENBLAS_", "TOKENIZERS_", "PYTHON", "OPENAI_", "ANTHROPIC_", "INSPECT_",
)  # fmt: skip
"""The variables that numbers may depend on begin with one of these."""


class Probe:
    """Asks harnesses what numbers depend on: versions, commit, GPUs. An answer holds as long as
    nothing was installed into the environment of the harness."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, ...], tuple[int, dict[str, Any]]] = {}

    async def ask(self, engine: Engine, environment: Mapping[str, str]) -> dict[str, Any]:
        """What is found; nothing when the interpreter cannot be asked."""
        argv = engine.probe_argv()
        at, answer = self._kept.get(argv, (0, {}))
        if answer and _changed_at(answer) == at:
            return answer
        try:
            printed = await ask(argv, environment, PROBE_SECONDS)
            answer = json.loads(printed.strip().splitlines()[-1])
        except (ExecutorError, ValueError, IndexError):
            return {}
        # What is checked out changes without anything being installed.
        if answer.get("commit") is None and (at := _changed_at(answer)):
            self._kept[argv] = at, answer
        return dict(answer)


def at_start(job: Job, allowed: AllowedDirectories | None, *, full: bool) -> dict[str, str]:
    """The file of the run directory that tells how the job's checkpoints were at the start."""
    found = fingerprints(before_merging(job.request), allowed, full=full)
    return {START_FILE: json.dumps(found)} if found else {}


def at_submission(
    request: EvaluateRequest, allowed: AllowedDirectories | None
) -> dict[str, Any] | None:
    """What is kept with a job from its submission on: how its checkpoints are then."""
    found = fingerprints(before_merging(request), allowed, full=False)
    return {"checkpoints": {"submitted": found}} if found else None


def at_end(
    job: Job,
    engine: Engine,
    run_dir: Path,
    outcome: Outcome,
    probed: Mapping[str, Any],
    allowed: AllowedDirectories | None,
    *,
    full: bool,
) -> Outcome:
    """The outcome with all that is known of how it came about, flagged if the weights changed."""
    submitted = (job.provenance or {}).get("checkpoints", {}).get("submitted", {})
    started = _at_start(run_dir)
    named = before_merging(job.request)
    ended = fingerprints(named, allowed, full=full) if submitted or started else {}
    moments = {"submitted": submitted, "started": started, "ended": ended}
    known = {
        **(outcome.provenance or {}),
        "harness": {name: probed.get(name) for name in ("version", "commit")}
        | {"name": engine.package or engine.name},
        **{name: probed.get(name) for name in ("interpreter", "python", "driver")},
        "packages": probed.get("packages", {}),
        "gpu_names": [gpu["name"] for gpu in probed.get("gpus", ())],
        "seed": job.request.seed,
        "environment": _environment(run_dir, engine),
    }
    if not any(moments.values()):
        return replace(outcome, provenance=known)
    changed = _changed(moments)
    provenance = {**known, "checkpoints": moments, "weights_changed": changed}
    result = outcome.result and {
        model: {**part, "weights_changed": changed} for model, part in outcome.result.items()
    }
    return replace(outcome, provenance=provenance, result=result)


def _changed(moments: Mapping[str, Mapping[str, Any]]) -> bool:
    """Was a checkpoint at one moment another than at a later one? Gone at the end is another."""
    ended = moments["ended"]
    before = [seen for moment in ("submitted", "started") for seen in moments[moment].items()]
    return any(_differ(seen, ended.get(key, {})) for key, seen in before)


def _differ(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    contents = {before.get("content_digest"), after.get("content_digest")} - {None}
    return before["digest"] != after.get("digest") or len(contents) > 1


def _environment(run_dir: Path, engine: Engine) -> dict[str, str]:
    """The variables that were given, as far as numbers may depend on them."""
    given = environment_of(run_dir)
    secrets = find_secrets(given)
    told = {
        name: MASK if is_secret_name(name) else _masked(value, secrets)
        for name, value in given.items()
        if name.startswith(TOLD) or name in engine.settings.environment
    }
    return dict(sorted(told.items()))


def _masked(text: str, secrets: list[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, MASK)
    # Bytes that are no text cannot be kept as JSON.
    return text.encode(errors="replace").decode()


def _at_start(run_dir: Path) -> dict[str, Any]:
    """What ``at_start`` had written down; nothing of what cannot have been written by it."""
    try:
        found = read_json(UntrustedDirectory.for_attempt(run_dir), START_FILE, MAX_START_BYTES)
        json.dumps(found).encode()
    except (UnreadableFile, ValueError):
        return {}
    return {
        name: seen
        for name, seen in found.items()
        if isinstance(seen, dict) and isinstance(seen.get("digest"), str)
    }


def _changed_at(answer: Mapping[str, Any]) -> int:
    """When something was last installed there; 0 if that cannot be seen."""
    try:
        return Path(answer["site"]).stat().st_mtime_ns
    except (OSError, KeyError, TypeError):
        return 0


async def patient(probing: "asyncio.Task[dict[str, Any]]") -> dict[str, Any]:
    """What a task of ``Probe.ask`` finds, or nothing; it never fails."""
    await asyncio.wait([probing])
    return {} if probing.cancelled() or probing.exception() else probing.result()
