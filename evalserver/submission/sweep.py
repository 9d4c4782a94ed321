"""Sweeps: requests that differ in the values of some fields, made from one base.

Works on the JSON of requests, before they are checked.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import orjson

from evalserver.core.request import REQUEST_FIELDS
from evalserver.core.request_fields import Kind
from evalserver.core.suggestions import did_you_mean

Json = dict[str, Any]

KINDS_WITH_PARTS = frozenset({
    Kind.ARGUMENTS, Kind.HARNESS_ARGUMENTS, Kind.GENERATION_ARGUMENTS, Kind.LABELS, Kind.MERGE,
})  # fmt: skip
"""Fields that are objects: ``field.name`` sets one of their values."""


def count_requests(over: Mapping[str, Sequence[Any]]) -> int:
    """Return how many requests a sweep has."""
    return math.prod(map(len, over.values()))


def count_bytes(base: Json, over: Mapping[str, Sequence[Any]]) -> int:
    """Return how many bytes the requests of a sweep have about, without expanding it."""
    count = count_requests(over)
    varied = sum(count // len(values) * _size(values) for values in over.values())
    return count * _size(base) + varied


def path_fault(path: str, over: Mapping[str, Any], base: Json) -> str | None:
    """Return why a path cannot be varied, as a sentence; None if it can."""
    name, dot, part = path.partition(".")
    row = REQUEST_FIELDS.get(name)
    if row is None:
        return f"There is no field {name!r}.{did_you_mean(name, REQUEST_FIELDS)}"
    if not dot:
        return None
    if row.kind not in KINDS_WITH_PARTS or not part:
        return f"{name} has no parts: vary {name} as a whole."
    if row.kind is not Kind.LABELS and "." in part:
        whole = f"{name}.{part.partition('.')[0]}"
        return f"Only {whole} can be varied, as a whole."
    if name in over:
        return f"Cannot be varied together with {name} as a whole."
    if not isinstance(base.get(name) or {}, dict):
        return f"The base's {name} is not an object."
    return None


def expand(base: Json, over: Mapping[str, Sequence[Any]]) -> list[Json]:
    """Return the base with every combination of the values; those of the last path change first.

    The paths must have no fault.
    """
    return [
        _with_values(base, dict(zip(over, values, strict=True)))
        for values in product(*over.values())
    ]


def _with_values(base: Json, values: Mapping[str, Any]) -> Json:
    request = dict(base)
    for path, value in values.items():
        name, dot, part = path.partition(".")
        request[name] = {**(request.get(name) or {}), part: value} if dot else value
    return request


def _size(value: Any) -> int:
    return len(orjson.dumps(value))
