"""Sweeps: requests that differ in the values of some fields, made from one base.

Works on the JSON of requests, before they are checked. Each request gets its values as labels, by
which its job is found and its results are told apart, also once it is pruned.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import orjson

from evalserver.core.masking import is_secret_name, mask_text
from evalserver.core.request import MAX_LABEL_LENGTH, MAX_LABELS, REQUEST_FIELDS
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

    The paths must have no fault. A label that the base has is kept.
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
    labels = request.get("labels") or {}
    if isinstance(labels, dict):
        with_values = {**_labels(values), **labels}
        request["labels"] = with_values if len(with_values) <= MAX_LABELS else labels
    return request


def _labels(values: Mapping[str, Any]) -> dict[str, str]:
    """Return the values as labels by their paths: texts, numbers and lists of texts, which neither
    are secrets nor too long."""
    texts = {
        path: _text(value)
        for path, value in values.items()
        if path.partition(".")[0] != "labels" and not is_secret_name(path)
    }
    return {path: text for path, text in texts.items() if text is not None and _is_label(text)}


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ",".join(value)
    return None if isinstance(value, list | dict) else orjson.dumps(value).decode()


def _is_label(text: str) -> bool:
    return len(text) <= MAX_LABEL_LENGTH and text.isprintable() and mask_text(text) == text


def _size(value: Any) -> int:
    return len(orjson.dumps(value))
