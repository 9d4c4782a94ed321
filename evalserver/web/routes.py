"""Every route of the server, in one table: what it takes, and who answers."""

from dataclasses import dataclass

from aiohttp import web

from evalserver.web import catalog, jobs, logs, queue
from evalserver.web.errors import Handler
from evalserver.web.keys import BODY, BOUNDS, QUERY
from evalserver.web.requests import read_body, read_query
from evalserver.web.schemas import (
    CatalogQuerySchema,
    EvaluateSchema,
    LogQuerySchema,
    NoQuerySchema,
    StrictSchema,
)


@dataclass(frozen=True)
class Route:
    """A method and a path, who answers, and the schemas of the query and of the JSON body.

    A handler finds what they load under ``QUERY`` and ``BODY`` of its request.
    """

    method: str
    path: str
    handler: Handler
    query: type[StrictSchema] = NoQuerySchema
    body: type[StrictSchema] | None = None


ROUTES = (
    Route("GET", "/health", queue.get_health),
    Route("GET", "/health/live", queue.get_liveness),
    Route("GET", "/health/ready", queue.get_readiness),
    Route("POST", "/evaluate", jobs.evaluate, body=EvaluateSchema),
    Route("GET", "/jobs/{job_id}", jobs.get_job),
    Route("DELETE", "/jobs/{job_id}", jobs.cancel_job),
    Route("POST", "/jobs/{job_id}/retry", jobs.retry_job),
    Route("GET", "/jobs/{job_id}/log", logs.get_log, LogQuerySchema),
    Route("GET", "/queue", queue.get_queue),
    Route("GET", "/tasks", catalog.get_tasks, CatalogQuerySchema),
    Route("GET", "/models", catalog.get_models, CatalogQuerySchema),
)


def add_routes(app: web.Application) -> None:
    """Put the table's routes into the application."""
    for route in ROUTES:
        handler = _reading(route)
        app.router.add_route(route.method, route.path, handler)
        if route.method == "GET":
            app.router.add_route("HEAD", route.path, handler)


def _reading(route: Route) -> Handler:
    """The route's handler, behind the reading of what it takes."""

    async def handle(request: web.Request) -> web.StreamResponse:
        bounds = request.app[BOUNDS]
        request[QUERY] = read_query(request, route.query(bounds))
        if route.body is not None:
            request[BODY] = await read_body(request, route.body(bounds))
        return await route.handler(request)

    return handle
