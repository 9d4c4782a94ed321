"""Registers the routes of the table; every request is authorized and validated first."""

from aiohttp import web

from evalserver.core.roles import Role
from evalserver.outputs import SampleDiffs
from evalserver.web.api.known_differences import KnownDifferences
from evalserver.web.api.queued_ids import QueuedIds
from evalserver.web.api.static_files import StaticFiles
from evalserver.web.http.errors import Handler
from evalserver.web.http.forms import read_form
from evalserver.web.http.requests import (
    RequestPart,
    check_path,
    handle_expect,
    read_body,
    read_headers,
    read_query,
    reject_body,
)
from evalserver.web.http.route import Route, path_schema
from evalserver.web.keys import (
    BODY,
    BOUNDS,
    HEADERS,
    LEADERBOARD_TESTS,
    OPENAPI,
    QUERY,
    QUEUED_IDS,
    SAMPLE_DIFFS,
    STATIC_FILES,
)
from evalserver.web.openapi import OpenApiDocument
from evalserver.web.pages.rendering import errors_as_pages
from evalserver.web.pages.table import PAGES
from evalserver.web.routes import ROUTES
from evalserver.web.schemas.queries import Bounds
from evalserver.web.security.authorization import authorize, require_still_authorized


def add_routes(app: web.Application) -> None:
    """Add the routes of the table, and their OpenAPI document, to the application."""
    app[OPENAPI] = OpenApiDocument(ROUTES, app[BOUNDS])
    app[STATIC_FILES] = StaticFiles()
    app[QUEUED_IDS] = QueuedIds()
    app[SAMPLE_DIFFS] = SampleDiffs()
    app[LEADERBOARD_TESTS] = KnownDifferences()
    for route in ROUTES:
        _add_route(app, route, _make_handler(route, app[BOUNDS]))
    for route in PAGES:
        _add_route(app, route, errors_as_pages(_make_handler(route, app[BOUNDS])))


def _add_route(app: web.Application, route: Route, handler: Handler) -> None:
    # Only the parameter ``path`` may contain slashes.
    path = route.path.replace("{path}", "{path:(?s:.+)}")
    methods = ("GET", "HEAD") if route.method == "GET" else (route.method,)
    for method in methods:
        app.router.add_route(method, path, handler, expect_handler=handle_expect)


def _make_handler(route: Route, bounds: Bounds) -> Handler:
    """Return the route's handler, wrapped in authorization and validation."""
    # Created once: creating a schema takes longer than most handlers.
    query, headers = RequestPart(route.query(bounds)), RequestPart(route.headers(bounds))
    body = None if route.body is None else RequestPart(route.body(bounds))
    path = RequestPart(path_schema(route.path)(bounds))
    has_variables = bool(path.names)
    form = () if route.form is None else tuple(route.form(bounds).fields)
    role = Role.ADMIN if route.role is None else route.role

    async def handle(request: web.Request) -> web.StreamResponse:
        authorize(request, role)
        if has_variables:
            check_path(request, path)
        request[HEADERS] = read_headers(request, headers)
        request[QUERY] = read_query(request, query)
        if body is not None:
            request[BODY] = await read_body(request, body, route.body_limit)
            # The token may be revoked while the body is received.
            require_still_authorized(request)
        elif form:
            request[BODY] = await read_form(request, form)
        else:
            reject_body(request)
        return await route.handler(request)

    return handle
