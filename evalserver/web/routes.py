"""Every route of the server, in one table."""

from dataclasses import dataclass

from aiohttp import web

from evalserver.web import catalog, jobs, queue
from evalserver.web.errors import Handler


@dataclass(frozen=True)
class Route:
    """A method and a path, and who answers."""

    method: str
    path: str
    handler: Handler


ROUTES = (
    Route("GET", "/health", queue.get_health),
    Route("GET", "/health/live", queue.get_liveness),
    Route("GET", "/health/ready", queue.get_readiness),
    Route("POST", "/evaluate", jobs.evaluate),
    Route("GET", "/jobs/{job_id}", jobs.get_job),
    Route("DELETE", "/jobs/{job_id}", jobs.cancel_job),
    Route("POST", "/jobs/{job_id}/retry", jobs.retry_job),
    Route("GET", "/queue", queue.get_queue),
    Route("GET", "/tasks", catalog.get_tasks),
    Route("GET", "/models", catalog.get_models),
)


def add_routes(app: web.Application) -> None:
    """Put the table's routes into the application."""
    for route in ROUTES:
        app.router.add_route(route.method, route.path, route.handler)
        if route.method == "GET":
            app.router.add_route("HEAD", route.path, route.handler)
