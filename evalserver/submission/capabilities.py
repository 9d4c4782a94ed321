"""Applying an engine's defaults to a request, and finding fields that the engine cannot use."""

from collections.abc import Mapping
from typing import Any

from evalserver.core.request import ARGUMENT_FIELDS, EvaluateRequest
from evalserver.engines import Engine


def with_defaults(
    request: EvaluateRequest, engine: Engine, timeout_s: float | None, **values: Any
) -> EvaluateRequest:
    """Return the request with these values, and with the engine's defaults and the server's time
    limit filled in."""
    defaults = {
        "use_cache": engine.caches_by_default,
        "timeout_s": timeout_s,
        **engine.settings.defaults,
    }
    merged = {name: _merge_default(request, defaults, name) for name in defaults}
    return request.changed(**merged, **values)


def capability_faults(request: EvaluateRequest, engine: Engine) -> dict[str, str]:
    """Return the fields that the engine cannot use as they are, with a sentence for each."""
    faults = engine.find_faults(request)
    if not engine.settings.allows(request.model):
        allowed = ", ".join(engine.settings.models or ())
        faults = {"model": f"The engine {engine.name} accepts {allowed}.", **faults}
    return faults


def _merge_default(request: EvaluateRequest, defaults: Mapping[str, Any], name: str) -> Any:
    requested, default = getattr(request, name), defaults[name]
    if name in ARGUMENT_FIELDS and isinstance(requested, dict) and isinstance(default, Mapping):
        return {**default, **requested}
    return default if requested is None else requested
