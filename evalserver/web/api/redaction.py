"""Redaction of secrets in a job's values, depending on the reader."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from evalserver.core.job import Job
from evalserver.core.masking import find_secrets, mask_secrets, mask_text, masked
from evalserver.core.request import ARGUMENT_FIELDS, EvaluateRequest
from evalserver.engines import Engine


def redacted_view(job: Job) -> dict[str, Any]:
    """Return the job's values for readers other than its submitter."""
    wanted = replace(
        job.request,
        model=mask_text(job.request.model),
        **{name: masked(getattr(job.request, name)) for name in ARGUMENT_FIELDS},
    )
    check = job.result_check
    if check is not None:
        findings = (replace(each, message=mask_text(each.message)) for each in check.findings)
        check = replace(check, findings=tuple(findings))
    return {
        **vars(job),
        "request": wanted,
        "error": None if job.error is None else mask_text(job.error),
        "result_check": check,
        "provenance": masked(job.provenance),
    }


def without_checkpoints(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values without the names and hashes of checkpoints' files.

    Only the submitter and administrators may see those.
    """
    known = values["provenance"]
    if known is None or "checkpoints" not in known:
        return values
    rest = {name: value for name, value in known.items() if name != "checkpoints"}
    return {**values, "provenance": rest}


def owner_view(job: Job, engines: Mapping[str, Engine]) -> dict[str, Any]:
    """Return the job's values for its submitter, without secrets of the operator's defaults."""
    engine = engines.get(job.engine)
    if engine is None or not engine.settings.defaults:
        return vars(job)
    return {**vars(job), "request": without_default_secrets(job.request, engine)}


def without_default_secrets(request: EvaluateRequest, engine: Engine) -> EvaluateRequest:
    """Return the request without the secrets of the operator's defaults."""
    secrets = find_secrets(engine.settings.defaults)
    if not secrets:
        return request
    return replace(
        request,
        **{name: mask_secrets(getattr(request, name), secrets) for name in ARGUMENT_FIELDS},
    )
