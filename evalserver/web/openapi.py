"""The OpenAPI 3.1 document of the server, generated from its routes and schemas."""

import inspect
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from http import HTTPStatus
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from apispec.ext.marshmallow.openapi import OpenAPIConverter
from marshmallow import Schema, fields

from evalserver.core.roles import Role
from evalserver.version import __version__
from evalserver.web.http.errors import CONTENT_TYPE as PROBLEM
from evalserver.web.http.forms import FORM
from evalserver.web.http.responses import dump
from evalserver.web.http.route import Answer, Route, path_schema
from evalserver.web.schemas import arguments
from evalserver.web.schemas.queries import Bounds, StrictSchema
from evalserver.web.schemas.responses import ProblemSchema

JSON = "application/json"

COMMON_ERRORS = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.MISDIRECTED_REQUEST,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
)
"""Errors that every route may return."""
BODY_ERRORS = (
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
)
"""Further errors of routes with a request body."""

SCHEMES = {
    "token": {"type": "http", "scheme": "bearer"},
    "password": {"type": "http", "scheme": "basic"},
}
"""A token is sent as a bearer token, or as a password with any user name."""
SECURITY: list[dict[str, list[str]]] = [{name: []} for name in SCHEMES]

ERROR_DESCRIPTIONS = {
    HTTPStatus.BAD_REQUEST: "The body is not JSON, or the route takes no body",
    HTTPStatus.UNAUTHORIZED: "The server requires a valid token",
    HTTPStatus.FORBIDDEN: "The role is insufficient, or a page of another site sent the request",
    HTTPStatus.MISDIRECTED_REQUEST: "The host name is not allowed",
    HTTPStatus.TOO_MANY_REQUESTS: "Too many requests, or too many queued jobs",
    HTTPStatus.NOT_FOUND: "The resource does not exist, and never did",
    HTTPStatus.REQUEST_TIMEOUT: "The body was not received in time",
    HTTPStatus.CONFLICT: "The state of the resource does not allow the operation",
    HTTPStatus.GONE: "The job was pruned",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is larger than the server's settings allow",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body is not uncompressed application/json in UTF-8",
    HTTPStatus.UNPROCESSABLE_ENTITY: "The request is invalid: `errors` lists the invalid fields",
    HTTPStatus.INTERNAL_SERVER_ERROR: "Internal server error",
    HTTPStatus.SERVICE_UNAVAILABLE: "The database, a harness or a file is not available now",
}
"""The description of each error status."""

INTRODUCTION = """\
A durable evaluation server for machine-learning labs.

Submit an evaluation with `POST /evaluate`, and read its state with `GET /jobs/{job_id}`. An
accepted job is stored on disk, and runs even if the server is restarted.

Errors are `application/problem+json`, and list all invalid fields of a request. Unknown fields and
query parameters are rejected. Every `GET` route also accepts `HEAD`.

Unless the server is open, as on loopback by default, requests require a token; `x-role` is the
minimum role: viewer, submitter or admin."""


class OpenApiDocument:
    """The OpenAPI document of one server, built on first use."""

    def __init__(self, routes: Sequence[Route], bounds: Bounds) -> None:
        self._routes = routes
        self._bounds = bounds

    @cached_property
    def body(self) -> bytes:
        """The document as JSON."""
        return dump(describe(self._routes, self._bounds))


def describe(routes: Sequence[Route], bounds: Bounds) -> dict[str, Any]:
    """Build the OpenAPI document of these routes, on a server with these bounds."""
    spec = APISpec(
        "evalserver",
        __version__,
        "3.1.0",
        [_Plugin(schema_name_resolver=_schema_name)],
        info={"description": INTRODUCTION, "license": {"name": "Apache-2.0"}},
        tags=list(_tags(routes)),
    )
    for name, scheme in SCHEMES.items():
        spec.components.security_scheme(name, dict(scheme))
    spec.components.schema(arguments.VALUE, arguments.VALUE_SCHEMA)
    for status in sorted({status for route in routes for status in _errors(route)}):
        spec.components.response(_status_name(status), _problem(status))
    for path in dict.fromkeys(route.path for route in routes):
        spec.path(
            re.sub(r"\{(\w+):[^}]*\}", r"{\1}", path),
            operations={
                route.method.lower(): _operation(route, routes, bounds)
                for route in routes
                if route.path == path
            },
        )
    document: dict[str, Any] = spec.to_dict()
    return document


def summary_of(route: Route) -> tuple[str, str]:
    """Return the first sentence of the handler's docstring, and the rest; both may be empty."""
    text = inspect.getdoc(route.handler) or ""
    first, _, rest = text.replace("``", "`").partition("\n\n")
    first = " ".join(first.removeprefix(f"`{route.method} {route.path}`:").split())
    return first[:1].upper() + first[1:].removesuffix("."), rest


def operation_id(route: Route) -> str:
    """Return the handler's name in camel case, since Swagger UI does not support underscores."""
    first, *more = route.handler.__name__.split("_")
    return first + "".join(word.title() for word in more)


class _Converter(OpenAPIConverter):
    """Uses the JSON Schema of our own fields; all others are converted by apispec."""

    def field2type_and_format(self, field: fields.Field[Any], **kwargs: Any) -> dict[str, Any]:
        json_schema = getattr(field, "json_schema", None)
        schema: dict[str, Any] = (
            json_schema() if json_schema else super().field2type_and_format(field, **kwargs)
        )
        return schema

    def field2nullable(self, field: fields.Field[Any], ret: dict[str, Any]) -> dict[str, Any]:
        if not field.allow_none or ret.get("type") == "null":
            return {}
        schema: dict[str, Any] = super().field2nullable(field, ret=ret)
        if "anyOf" in ret:
            schema["anyOf"] = [*ret["anyOf"], {"type": "null"}]
        if "enum" in ret and None not in ret["enum"]:
            schema["enum"] = [*ret["enum"], None]
        return schema

    def schema2jsonschema(self, schema: Schema) -> dict[str, Any]:
        converted: dict[str, Any] = super().schema2jsonschema(schema)  # type: ignore[no-untyped-call]
        more = schema.CONSTRAINTS if isinstance(schema, StrictSchema) else {}
        return {**converted, **more, "description": inspect.getdoc(schema) or ""}


class _Plugin(MarshmallowPlugin):
    Converter = _Converter


def _schema_name(schema: Schema | type[Schema]) -> str:
    kind = schema if isinstance(schema, type) else type(schema)
    return kind.__name__.removesuffix("Schema")


def _tags(routes: Sequence[Route]) -> Iterator[dict[str, str]]:
    """Yield a tag for each module of handlers."""
    for tag, route in {_tag(route): route for route in routes}.items():
        module = inspect.getmodule(route.handler)
        text = (inspect.getdoc(module) or "").partition("\n\n")[0]
        yield {"name": tag, "description": " ".join(text.split())}


def _tag(route: Route) -> str:
    return route.handler.__module__.rpartition(".")[2]


def _operation(route: Route, routes: Sequence[Route], bounds: Bounds) -> dict[str, Any]:
    summary, description = summary_of(route)
    operation: dict[str, Any] = {
        "operationId": operation_id(route),
        "summary": summary,
        "tags": [_tag(route)],
        "parameters": [
            {"in": "path", "schema": path_schema(route.path)(bounds)},
            {"in": "query", "schema": route.query(bounds)},
            {"in": "header", "schema": route.headers(bounds)},
        ],
        "responses": _responses(route, routes),
    }
    if description:
        operation["description"] = description
    if route.role is not Role.ANYONE:
        operation["security"] = [*SECURITY, {}]
        operation["x-role"] = route.role
    for sent, media_type in ((route.body, JSON), (route.form, FORM)):
        if sent is not None:
            content = {"schema": sent(bounds), **_example(sent.EXAMPLE)}
            operation["requestBody"] = {"required": True, "content": {media_type: content}}
    return operation


def _responses(route: Route, routes: Sequence[Route]) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for answer in route.answers:
        response = responses.setdefault(
            str(answer.status.value), {"description": answer.status.phrase}
        )
        _add_content(response.setdefault("content", {}), _content(answer))
        if answer.headers:
            response["headers"] = {
                name: {"description": text, "schema": {"type": "string"}}
                for name, text in answer.headers.items()
            }
        if route.method == "POST" and answer.schema and "job_id" in answer.schema().fields:
            response["links"] = dict(_links(routes))
    for status in _errors(route):
        responses[str(status.value)] = _status_name(status)
    return responses


def _add_content(content: dict[str, Any], more: dict[str, Any]) -> None:
    """Add another response with the same status; schemas of the same type become alternatives."""
    for media_type, shown in more.items():
        if media_type in content:
            first = content[media_type]
            content[media_type] = {**first, "schema": {"anyOf": [first["schema"], shown["schema"]]}}
        else:
            content[media_type] = shown


def _content(answer: Answer) -> dict[str, Any]:
    if answer.schema is not None:
        return {JSON: {"schema": answer.schema, **_example(answer.schema.EXAMPLE)}}
    if answer.media_type is None:
        return {}
    return {answer.media_type: {}}


def _example(example: Any) -> dict[str, Any]:
    return {} if example is None else {"example": dict(example)}


def _links(routes: Sequence[Route]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield links to the routes of the job that a response names."""
    for route in routes:
        if re.findall(r"\{(\w+)", route.path) == ["job_id"]:
            name = operation_id(route)
            yield name, {"operationId": name, "parameters": {"job_id": "$response.body#/job_id"}}


def _errors(route: Route) -> list[HTTPStatus]:
    sent = route.body is not None or route.form is not None
    found = {*COMMON_ERRORS, *route.errors, *(BODY_ERRORS if sent else ())}
    return sorted(found if route.role is Role.ANYONE else {*found, HTTPStatus.UNAUTHORIZED})


def _status_name(status: HTTPStatus) -> str:
    return status.name.title().replace("_", "")


def _problem(status: HTTPStatus) -> dict[str, Any]:
    description = ERROR_DESCRIPTIONS.get(status, status.phrase)
    example = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "detail": description,
    }
    response: dict[str, Any] = {
        "description": description,
        "content": {PROBLEM: {"schema": ProblemSchema, "example": example}},
    }
    if status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS):
        text = "Seconds after which to retry."
        response["headers"] = {"Retry-After": {"description": text, "schema": {"type": "integer"}}}
    return response
