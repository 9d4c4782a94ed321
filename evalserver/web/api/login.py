"""Login for browsers: a form for the token, and a session cookie."""

import asyncio
import re
from html import escape
from http import HTTPStatus
from pathlib import Path
from string import Template
from types import MappingProxyType
from urllib.parse import quote

import structlog
from aiohttp import web

from evalserver.auth.access import SESSION_LIFETIME
from evalserver.web.api.static_files import CONTENT_SECURITY_POLICY
from evalserver.web.keys import BODY, QUERY
from evalserver.web.schemas.fields import Text, about
from evalserver.web.schemas.queries import StrictSchema
from evalserver.web.security.authentication import presented_session, session_cookie
from evalserver.web.security.authorization import ACCESS, ACCESS_POLICY

log = structlog.get_logger("evalserver.web")

TEMPLATE = Path(__file__).parents[1] / "templates" / "login.html"

DEFAULT_PATH = "/"
"""The target of a login without ``next``."""

LOCAL_PATH = re.compile(r"/(?![/\\])[!-\[\]-~]*")
"""Paths of this server, which browsers cannot interpret as another host."""

UNKNOWN_TOKEN = "This token is unknown: it may have been revoked, or have expired."  # noqa: S105


class LoginQuerySchema(StrictSchema):
    """The query of ``GET /login``."""

    next = Text(longest=2048, metadata=about("The path of this server to go to afterwards."))


class LoginFormSchema(StrictSchema):
    """The fields of the login form."""

    EXAMPLE = MappingProxyType({"token": "evs_...", "next": "/docs"})

    token = Text(longest=128, metadata=about("The token."))
    next = Text(longest=2048, metadata=about("The path of this server to go to afterwards."))


async def get_login(request: web.Request) -> web.Response:
    """``GET /login``: the login form."""
    return await _login_page(request[QUERY].get("next", ""))


async def log_in(request: web.Request) -> web.Response:
    """``POST /login``: log in with a valid token, which opens a session."""
    form = request[BODY]
    session = await request.app[ACCESS].log_in(form["token"].strip())
    if session is None:
        address = request.app[ACCESS_POLICY].proxies.client_address(request)
        log.warning("login with an unknown token", address=address)
        return await _login_page(form["next"], UNKNOWN_TOKEN, HTTPStatus.UNAUTHORIZED)
    answer = _redirect(form["next"] if LOCAL_PATH.fullmatch(form["next"]) else DEFAULT_PATH)
    proxies = request.app[ACCESS_POLICY].proxies
    answer.set_cookie(
        session_cookie(request, proxies),
        session,
        max_age=int(SESSION_LIFETIME.total_seconds()),
        httponly=True,
        samesite="Strict",
        secure=proxies.is_secure(request),
    )
    return answer


async def log_out(request: web.Request) -> web.Response:
    """``POST /logout``: end the session."""
    proxies = request.app[ACCESS_POLICY].proxies
    session = presented_session(request, proxies)
    if session is not None:
        await request.app[ACCESS].log_out(session)
    answer = _redirect("/login")
    answer.del_cookie(
        session_cookie(request, proxies),
        httponly=True,
        samesite="Strict",
        secure=proxies.is_secure(request),
    )
    return answer


def _redirect(path: str) -> web.Response:
    headers = {"Location": quote(path, safe="/?&=%#+,;:@!$'()*~"), "Cache-Control": "no-store"}
    return web.Response(status=HTTPStatus.SEE_OTHER, headers=headers)


async def _login_page(
    next_path: str, error: str = "", status: HTTPStatus = HTTPStatus.OK
) -> web.Response:
    template = Template(await asyncio.to_thread(TEMPLATE.read_text, "utf-8"))
    text = template.substitute(next=escape(next_path, quote=True), error=escape(error))
    headers = {"Content-Security-Policy": CONTENT_SECURITY_POLICY, "Cache-Control": "no-store"}
    return web.Response(text=text, status=status, content_type="text/html", headers=headers)
