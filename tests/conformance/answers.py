"""Checks responses against the server's OpenAPI description; applied to every response in tests."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs

from evalserver.web.openapi import describe
from evalserver.web.routes import ROUTES
from evalserver.web.schemas.queries import Bounds

BOUNDS = Bounds(("lmms_eval", "lm_eval"), None, Path("/no/such/directory"), ("/",))

Json = dict[str, Any]


@cache
def description() -> Json:
    """The OpenAPI description of a server with default settings."""
    return describe(ROUTES, BOUNDS)


def faults_of(method: str, path: str, status: int, media_type: str, body: Any) -> list[str]:
    """How a response differs from the description; unknown routes are not checked."""
    operation = _operation(method, path.partition("?")[0])
    if operation is None:
        return []
    answer = _resolved(operation["responses"].get(str(status), {}))
    if media_type not in answer.get("content", {}):
        return [f"{status} with {media_type}"]
    return faults(answer["content"][media_type].get("schema", {}), body)


def faults(schema: Json, value: Any) -> list[str]:
    """How a value differs from a schema of the description, including unknown keys."""
    validator = jsonschema_rs.validator_for(
        {**schema, "components": _closed_components()}, validate_formats=True
    )
    return [
        f"{list(error.instance_path)}: {error.message}" for error in validator.iter_errors(value)
    ]


def _operation(method: str, path: str) -> Json | None:
    for template, operations in description()["paths"].items():
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
            found: Json | None = operations.get(method.lower())
            return found
    return None


def _resolved(answer: Json) -> Json:
    name = answer.get("$ref", "").rpartition("/")[2]
    found: Json = description()["components"]["responses"][name] if name else answer
    return found


@cache
def _closed_components() -> Json:
    """The schemas, closed against unknown keys."""
    schemas = description()["components"]["schemas"]
    return {"schemas": {name: _closed(schema) for name, schema in schemas.items()}}


def _closed(schema: Json) -> Json:
    return {"additionalProperties": False, **schema} if "properties" in schema else schema
