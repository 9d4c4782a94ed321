"""Parsing a stored request, which a disk fault may have damaged."""

from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import orjson

from evalserver.core.request import REQUIRED, EvaluateRequest
from evalserver.store.json_text import json_text


class DamagedRequest(Exception):
    """The stored request is invalid; the message says why."""


def _types(hint: Any) -> tuple[type, ...]:
    """The types of a field for ``isinstance``; JSON may contain an integer for any number."""
    if isinstance(hint, UnionType):
        return tuple(each for part in get_args(hint) for each in _types(part))
    return (int, float) if hint is float else (get_origin(hint) or hint,)


TYPES = {name: _types(hint) for name, hint in get_type_hints(EvaluateRequest).items()}


def request_bytes(request: EvaluateRequest) -> int:
    """The size of a request in the database."""
    return len(json_text(request).encode())


def parse_request(text: str) -> EvaluateRequest:
    """The request in the column of that name. Raises DamagedRequest."""
    try:
        values = orjson.loads(text)
        tasks = values["tasks"] = tuple(values["tasks"])
        wrong = [name for name, value in values.items() if not isinstance(value, TYPES[name])]
        missing = [name for name in REQUIRED if name not in values]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DamagedRequest(repr(error)) from error
    if missing:
        raise DamagedRequest(f"without {', '.join(missing)}")
    if wrong or not all(isinstance(task, str) for task in tasks):
        raise DamagedRequest(f"of another type: {', '.join(wrong) or 'tasks'}")
    return EvaluateRequest.of(values)
