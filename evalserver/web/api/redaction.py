"""A job's record as it is shown: what is secret in it, to whom."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from evalserver.core.job import Job
from evalserver.core.masking import find_secrets, mask_text, masked, without
from evalserver.core.request import EvaluateRequest
from evalserver.engines import Engine


def others_values(job: Job) -> dict[str, Any]:
    """The values as they are shown to those whose job it is not."""
    wanted = replace(
        job.request,
        model=mask_text(job.request.model),
        model_args=masked(job.request.model_args),
        gen_kwargs=masked(job.request.gen_kwargs),
    )
    error = None if job.error is None else mask_text(job.error)
    return {**vars(job), "request": wanted, "error": error, "provenance": masked(job.provenance)}


def without_checkpoints(values: dict[str, Any]) -> dict[str, Any]:
    """The values without names and hashes of checkpoints' files, which are for who submitted the
    job and for administrators."""
    known = values["provenance"]
    if known is None or "checkpoints" not in known:
        return values
    rest = {name: value for name, value in known.items() if name != "checkpoints"}
    return {**values, "provenance": rest}


def own_values(job: Job, engines: Mapping[str, Engine]) -> dict[str, Any]:
    """The values as they are shown to who submitted it: all but what is secret of the operator's
    own, which the request was given."""
    engine = engines.get(job.engine)
    if engine is None or not engine.settings.defaults:
        return vars(job)
    return {**vars(job), "request": without_defaults(job.request, engine)}


def without_defaults(request: EvaluateRequest, engine: Engine) -> EvaluateRequest:
    """The request without what is secret of the operator's defaults."""
    secrets = find_secrets(engine.settings.defaults)
    if not secrets:
        return request
    return replace(
        request,
        model_args=without(request.model_args, secrets),
        gen_kwargs=without(request.gen_kwargs, secrets),
    )
