"""What is done for every request, with or without a route: checked, measured, always answered.

One middleware and one hook: each further one would cost a call of its own for every request.
"""

from aiohttp import web

from evalserver.web.api.metrics import record_arrival, record_latency
from evalserver.web.http.errors import Handler, error_response
from evalserver.web.security.authorization import add_security_headers, check_source


def add_entrance(app: web.Application) -> None:
    """Let every request of the application pass through here."""
    app.middlewares.append(_handle)
    app.on_response_prepare.append(_prepare)


@web.middleware
async def _handle(request: web.Request, handler: Handler) -> web.StreamResponse:
    record_arrival(request)
    try:
        check_source(request)
        return await handler(request)
    except Exception as error:  # the response to whatever happened is a problem document
        return error_response(request, error)


async def _prepare(request: web.Request, response: web.StreamResponse) -> None:
    add_security_headers(response)
    record_latency(request, response)
