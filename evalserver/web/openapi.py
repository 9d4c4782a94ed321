"""The server's description of itself, OpenAPI 3.1: made of the routes and schemas that serve."""

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
from evalserver.web.schemas.queries import Bounds
from evalserver.web.schemas.responses import ProblemSchema

JSON = "application/json"

ANY = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.MISDIRECTED_REQUEST,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
)
"""The errors that every route may give."""
WITH_BODY = (
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
)

SCHEMES = {
    "token": {"type": "http", "scheme": "bearer"},
    "password": {"type": "http", "scheme": "basic"},
}
"""A token is sent as it is, or as a password with any user name."""
SECURITY: list[dict[str, list[str]]] = [{name: []} for name in SCHEMES]

WHY = {
    HTTPStatus.BAD_REQUEST: "The body is not JSON, or there is one where none is taken",
    HTTPStatus.UNAUTHORIZED: "The server needs a token, and none was sent that holds",
    HTTPStatus.FORBIDDEN: "The token's role is not enough, or a page of another site sent it",
    HTTPStatus.MISDIRECTED_REQUEST: "The server is not called by this name",
    HTTPStatus.TOO_MANY_REQUESTS: "There are too many requests, or jobs that wait",
    HTTPStatus.NOT_FOUND: "There is no such thing, and never was",
    HTTPStatus.REQUEST_TIMEOUT: "The body did not come in time",
    HTTPStatus.CONFLICT: "The state of the job does not allow it",
    HTTPStatus.GONE: "The job was pruned",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is larger than the server's settings allow",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body is not sent as plain application/json in UTF-8",
    HTTPStatus.UNPROCESSABLE_ENTITY: "The request asks for what is not allowed; errors says why",
    HTTPStatus.INTERNAL_SERVER_ERROR: "Internal server error",
    HTTPStatus.SERVICE_UNAVAILABLE: "What the answer depends on cannot be asked or written now",
}
"""What the statuses of errors mean here."""

INTRODUCTION = """\
A durable evaluation server for machine-learning labs.

Submit an evaluation with `POST /evaluate`, look at it with `GET /jobs/{job_id}`. What is accepted
is on disk, and runs in its turn, whatever happens to the server.

Errors are `application/problem+json`, and name every fault of a request at once. Fields and query
keys keys that are not described here are refused. Every `GET` may be asked as `HEAD`.

Unless the server is open, as it is on loopback, requests carry a token; `x-role` says which role it
must at least have: viewer, submitter or admin."""


class Description:
    """The description of one server, made when it is first asked for."""

    def __init__(self, routes: Sequence[Route], bounds: Bounds) -> None:
        self._routes = routes
        self._bounds = bounds

    @cached_property
    def body(self) -> bytes:
        """The document, JSON."""
        return dump(describe(self._routes, self._bounds))


def describe(routes: Sequence[Route], bounds: Bounds) -> dict[str, Any]:
    """The OpenAPI document of these routes, on a server with these bounds."""
    spec = APISpec(
        "evalserver",
        __version__,
        "3.1.0",
        [_Plugin(schema_name_resolver=_name_of)],
        info={"description": INTRODUCTION, "license": {"name": "Apache-2.0"}},
        tags=list(_tags(routes)),
    )
    for name, scheme in SCHEMES.items():
        spec.components.security_scheme(name, dict(scheme))
    spec.components.schema(arguments.VALUE, arguments.VALUE_SCHEMA)
    for status in sorted({status for route in routes for status in _errors(route)}):
        spec.components.response(_name_of_status(status), _problem(status))
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
    """The first sentence of the handler's docstring, and what follows; both may be empty."""
    text = inspect.getdoc(route.handler) or ""
    first, _, rest = text.replace("``", "`").partition("\n\n")
    first = " ".join(first.removeprefix(f"`{route.method} {route.path}`:").split())
    return first[:1].upper() + first[1:].removesuffix("."), rest


def operation_id(route: Route) -> str:
    """The handler's name as JavaScript would write it, since Swagger UI wants no underscores."""
    first, *more = route.handler.__name__.split("_")
    return first + "".join(word.title() for word in more)


class _Converter(OpenAPIConverter):
    """Asks our own fields what they take; leaves all others to apispec."""

    def field2type_and_format(self, field: fields.Field[Any], **kwargs: Any) -> dict[str, Any]:
        tell = getattr(field, "json_schema", None)
        told: dict[str, Any] = tell() if tell else super().field2type_and_format(field, **kwargs)
        return told

    def field2nullable(self, field: fields.Field[Any], ret: dict[str, Any]) -> dict[str, Any]:
        if not field.allow_none or ret.get("type") == "null":
            return {}
        told: dict[str, Any] = super().field2nullable(field, ret=ret)
        if "anyOf" in ret:
            told["anyOf"] = [*ret["anyOf"], {"type": "null"}]
        if "enum" in ret and None not in ret["enum"]:
            told["enum"] = [*ret["enum"], None]
        return told

    def schema2jsonschema(self, schema: Schema) -> dict[str, Any]:
        told: dict[str, Any] = super().schema2jsonschema(schema)  # type: ignore[no-untyped-call]
        return {**told, "description": inspect.getdoc(schema) or ""}


class _Plugin(MarshmallowPlugin):
    Converter = _Converter


def _name_of(schema: Schema | type[Schema]) -> str:
    kind = schema if isinstance(schema, type) else type(schema)
    return kind.__name__.removesuffix("Schema")


def _tags(routes: Sequence[Route]) -> Iterator[dict[str, str]]:
    """What the routes are about: the modules of their handlers."""
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
                name: {"description": says, "schema": {"type": "string"}}
                for name, says in answer.headers.items()
            }
        if route.method == "POST" and answer.schema and "job_id" in answer.schema().fields:
            response["links"] = dict(_links(routes))
    for status in _errors(route):
        responses[str(status.value)] = _name_of_status(status)
    return responses


def _add_content(content: dict[str, Any], more: dict[str, Any]) -> None:
    """Add what another answer of the same status may be: of the same type, one or the other."""
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
    """To all that can be asked of the job that an answer names."""
    for route in routes:
        if re.findall(r"\{(\w+)", route.path) == ["job_id"]:
            name = operation_id(route)
            yield name, {"operationId": name, "parameters": {"job_id": "$response.body#/job_id"}}


def _errors(route: Route) -> list[HTTPStatus]:
    sent = route.body is not None or route.form is not None
    found = {*ANY, *route.errors, *(WITH_BODY if sent else ())}
    return sorted(found if route.role is Role.ANYONE else {*found, HTTPStatus.UNAUTHORIZED})


def _name_of_status(status: HTTPStatus) -> str:
    return status.name.title().replace("_", "")


def _problem(status: HTTPStatus) -> dict[str, Any]:
    why = WHY.get(status, status.phrase)
    example = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "detail": why,
    }
    response: dict[str, Any] = {
        "description": why,
        "content": {PROBLEM: {"schema": ProblemSchema, "example": example}},
    }
    if status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS):
        says = "Seconds after which to ask again."
        response["headers"] = {"Retry-After": {"description": says, "schema": {"type": "integer"}}}
    return response
