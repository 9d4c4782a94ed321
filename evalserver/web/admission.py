"""What a server asks of a request beyond its form: that its engine can carry it out."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from marshmallow import ValidationError

from evalserver.engines import Engine
from evalserver.job import EvaluateRequest
from evalserver.server_args import ServerArgs
from evalserver.web.errors import BadRequest, FieldError
from evalserver.web.evaluate_schema import RequestFields

MERGED = ("model_args", "gen_kwargs")
"""Fields of which a default holds key by key."""


def with_defaults(wanted: EvaluateRequest, engine: Engine, args: ServerArgs) -> EvaluateRequest:
    """The request with what the engine and the server's settings say where it says nothing."""
    given = {
        "use_cache": engine.caches_by_default,
        "timeout_s": args.effective_timeout,
        **engine.settings.defaults,
    }
    return EvaluateRequest(
        **{**vars(wanted), **{name: _default(wanted, given, name) for name in given}}
    )


def require_possible(wanted: EvaluateRequest, engine: Engine) -> None:
    """Raise BadRequest (422), with every fault at once, if the engine cannot take the request."""
    faults = engine.refusals(wanted)
    if not engine.settings.allows(wanted.model):
        allowed = ", ".join(engine.settings.models or ())
        faults = {"model": f"The engine {engine.name} takes {allowed}.", **faults}
    if faults:
        raise refused(faults)


def refused(faults: Mapping[str, str]) -> BadRequest:
    """The answer to a request with these faults: fields, and a sentence for each."""
    detail = (
        f"The request was refused, and nothing was changed. Please correct: {', '.join(faults)}"
    )
    errors = tuple(FieldError(field, sentence) for field, sentence in faults.items())
    return BadRequest(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors)


def check_defaults(engine: Engine) -> None:
    """Raise ValueError, naming table and key, if a request could not have an engine's defaults."""
    fields = RequestFields().fields
    for name, value in engine.settings.defaults.items():
        try:
            fields[name].deserialize(value, name, {})
        except ValidationError as error:
            where = f"engines.{engine.name}.defaults.{name}"
            raise ValueError(f"{where}: {error.messages}, got {value!r}") from error


def _default(wanted: EvaluateRequest, given: Mapping[str, Any], name: str) -> Any:
    asked = getattr(wanted, name)
    if name in MERGED and isinstance(asked, dict) and isinstance(given[name], Mapping):
        return {**given[name], **asked}
    return given[name] if asked is None else asked
