"""Answers to what is no request: aiohttp makes them before any middleware is asked."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus

from aiohttp import hdrs, web

from evalserver.web.http.errors import problem
from evalserver.web.security.authorization import SECURITY_HEADERS, SERVER

MAX_DETAIL_CHARACTERS = 512


class ProblemRequestHandler(web.RequestHandler):
    """Speaks HTTP on one connection; says in a problem document, too, why it cannot be spoken."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer, after which the connection is closed."""
        super().handle_error(request, status, exc, message)  # it logs, and looks whether one began
        said = (message or "").partition("\n")[0].strip(" :")[:MAX_DETAIL_CHARACTERS]
        known = HTTPStatus(status)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            said = known.description
        response = problem(known, said or "This is no HTTP request that can be read")
        response.headers.update({**SECURITY_HEADERS, hdrs.SERVER: SERVER})
        response.force_close()
        return response


def protocol_factory(server: web.Server) -> Callable[[], asyncio.Protocol]:
    """Makes the protocol of a connection, with the settings that the server was made with."""

    def make() -> asyncio.Protocol:
        # As the server itself does, which can be given no class of ours.
        return ProblemRequestHandler(server, loop=asyncio.get_running_loop(), **server._kwargs)

    return make
