"""Responses to malformed requests, which aiohttp builds before any middleware runs."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus

from aiohttp import hdrs, web

from evalserver.web.http.errors import problem
from evalserver.web.security.authorization import SECURITY_HEADERS, SERVER

MAX_DETAIL_CHARACTERS = 512


class ProblemRequestHandler(web.RequestHandler):
    """Handles one connection, and answers malformed requests with a problem document."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Build the response, after which the connection is closed."""
        super().handle_error(
            request, status, exc, message
        )  # logs, and checks whether a response has begun
        said = (message or "").partition("\n")[0].strip(" :")[:MAX_DETAIL_CHARACTERS]
        known = HTTPStatus(status)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            said = known.description
        response = problem(known, said or "The HTTP request is malformed")
        response.headers.update({**SECURITY_HEADERS, hdrs.SERVER: SERVER})
        response.force_close()
        return response


def protocol_factory(server: web.Server) -> Callable[[], asyncio.Protocol]:
    """Return a factory of connection protocols with the settings of this server."""

    def make() -> asyncio.Protocol:
        # As web.Server does, which does not accept another class.
        return ProblemRequestHandler(server, loop=asyncio.get_running_loop(), **server._kwargs)

    return make
