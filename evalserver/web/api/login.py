"""Logging in with a token, for browsers: a form, and a cookie in the token's place."""

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
from evalserver.web.api.static_files import POLICY
from evalserver.web.keys import BODY, QUERY
from evalserver.web.schemas.fields import Text, about
from evalserver.web.schemas.queries import StrictSchema
from evalserver.web.security.authentication import session_cookie, shown_session
from evalserver.web.security.authorization import ACCESS, ACCESS_POLICY

log = structlog.get_logger("evalserver.web")

PAGE = Path(__file__).parents[1] / "templates" / "login.html"

HOME = "/"
"""Where a login leads that was not on the way to another page."""

OWN_PATH = re.compile(r"/(?![/\\])[!-\[\]-~]*")
"""A path of this server: nothing that a browser would take for the name of another."""

UNKNOWN_TOKEN = "This token is not known here: it may have been revoked, or have expired."  # noqa: S105


class LoginQuerySchema(StrictSchema):
    """The query of ``GET /login``."""

    next = Text(longest=2048, metadata=about("The path of this server to go to afterwards."))


class LoginFormSchema(StrictSchema):
    """What the login form sends."""

    EXAMPLE = MappingProxyType({"token": "evs_...", "next": "/docs"})

    token = Text(longest=128, metadata=about("The token."))
    next = Text(longest=2048, metadata=about("The path of this server to go to afterwards."))


async def get_login(request: web.Request) -> web.Response:
    """``GET /login``: the form that takes a token."""
    return await _page(request[QUERY].get("next", ""))


async def log_in(request: web.Request) -> web.Response:
    """``POST /login``: what the form sends; a token that holds opens a session."""
    form = request[BODY]
    session = await request.app[ACCESS].log_in(form["token"].strip())
    if session is None:
        address = request.app[ACCESS_POLICY].proxies.client_address(request)
        log.warning("a login with a token that is not known", address=address)
        return await _page(form["next"], UNKNOWN_TOKEN, HTTPStatus.UNAUTHORIZED)
    answer = _lead_to(form["next"] if OWN_PATH.fullmatch(form["next"]) else HOME)
    proxies = request.app[ACCESS_POLICY].proxies
    answer.set_cookie(
        session_cookie(request, proxies),
        session,
        max_age=int(SESSION_LIFETIME.total_seconds()),
        httponly=True,
        samesite="Strict",
        secure=proxies.are_secure(request),
    )
    return answer


async def log_out(request: web.Request) -> web.Response:
    """``POST /logout``: end the session."""
    proxies = request.app[ACCESS_POLICY].proxies
    session = shown_session(request, proxies)
    if session is not None:
        await request.app[ACCESS].log_out(session)
    answer = _lead_to("/login")
    answer.del_cookie(
        session_cookie(request, proxies),
        httponly=True,
        samesite="Strict",
        secure=proxies.are_secure(request),
    )
    return answer


def _lead_to(path: str) -> web.Response:
    headers = {"Location": quote(path, safe="/?&=%#+,;:@!$'()*~"), "Cache-Control": "no-store"}
    return web.Response(status=HTTPStatus.SEE_OTHER, headers=headers)


async def _page(after: str, fault: str = "", status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    template = Template(await asyncio.to_thread(PAGE.read_text, "utf-8"))
    text = template.substitute(next=escape(after, quote=True), fault=escape(fault))
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}
    return web.Response(text=text, status=status, content_type="text/html", headers=headers)
