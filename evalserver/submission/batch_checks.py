"""Checking the requests of a batch: all faults of all of them; what several share, once."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from evalserver.checkpoints.readiness import CHECKPOINT_ARGUMENTS, REMOTE_ARGUMENTS
from evalserver.core.in_steps import in_steps
from evalserver.core.request import EvaluateRequest
from evalserver.submission.named_checkpoints import Checkpoints
from evalserver.submission.rejection import Rejected, invalid
from evalserver.submission.request_checks import Prepared, RequestChecks

Provenance = dict[str, Any] | None


def prefix_of(number: int) -> str:
    """Return what begins the names of the fields of a request in the faults of its batch."""
    return f"jobs.{number}."


async def prepare_batch(
    checks: RequestChecks, requests: Sequence[EvaluateRequest]
) -> list[Prepared]:
    """Return each request with its defaults."""
    return [await checks.prepare(request) async for request in in_steps(requests)]


async def check_batch(
    checks: RequestChecks, prepared: Sequence[Prepared], *, validate: bool
) -> list[Provenance] | Rejected:
    """Return the provenance of each request's checkpoints, or the faults of all requests."""
    faults: dict[str, str] = {}
    sound: dict[str, Prepared] = {}
    async for number, each in in_steps(enumerate(prepared)):
        found = checks.find_faults(each)
        if found:
            faults |= _prefixed(number, found)
        else:
            sound[prefix_of(number)] = each
    checkpoints = await _inspect_once(checks, sound)
    if validate:
        faults |= await checks.find_unknown_names(sound)
        for prefix, inspected in checkpoints.items():
            faults |= {f"{prefix}{name}": text for name, text in inspected.faults.items()}
    if faults:
        return invalid(dict(sorted(faults.items(), key=_number_of)))
    return [checkpoints[prefix_of(number)].provenance for number in range(len(prepared))]


async def _inspect_once(
    checks: RequestChecks, requests: Mapping[str, Prepared]
) -> dict[str, Checkpoints]:
    """Inspect the checkpoints of each request; those of equal arguments only once."""
    inspected: dict[bytes, Checkpoints] = {}
    found: dict[str, Checkpoints] = {}
    async for prefix, each in in_steps(requests.items()):
        key = _names_of_checkpoints(each.request)
        if key not in inspected:
            inspected[key] = await checks.inspect_checkpoints(each)
        found[prefix] = inspected[key]
    return found


def _names_of_checkpoints(request: EvaluateRequest) -> bytes:
    """Return what the checkpoints of a request depend on, and so what is recorded of them."""
    given = request.model_args or {}
    names = CHECKPOINT_ARGUMENTS.union(REMOTE_ARGUMENTS) & given.keys()
    parts = [
        {name: given[name] for name in names},
        request.lmms_engine_kwargs,
        request.wait_for_path_s is not None,
    ]
    return orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)


def _prefixed(number: int, faults: Mapping[str, str]) -> dict[str, str]:
    return {f"{prefix_of(number)}{name}": text for name, text in faults.items()}


def _number_of(fault: tuple[str, str]) -> int:
    return int(fault[0].split(".")[1])
