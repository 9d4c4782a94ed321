"""Authorizing requests: by host name, origin, caller and rate.

``check_source`` is a middleware and checks every request, also those without a route;
``authorize`` checks that the caller has the role that a route requires.
"""

import math
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import quote

import structlog
from aiohttp import hdrs, web

from evalserver.auth.access import ANONYMOUS, Access, Caller
from evalserver.core.roles import Role
from evalserver.system.sockets import network_key
from evalserver.web.http.errors import BadRequest, Handler
from evalserver.web.security.allowed_hosts import Hosts, is_same_origin
from evalserver.web.security.authentication import (
    LOCAL_OPERATOR,
    caller_of,
    is_local,
    shown_session,
    shown_token,
)
from evalserver.web.security.proxies import FORWARDED_FOR, Proxies
from evalserver.web.security.rate_limit import RateLimit

log = structlog.get_logger("evalserver.web")

SAFE_METHODS = frozenset({hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS})
"""They change nothing, whoever has them sent."""
OWN_PAGES = frozenset({"same-origin", "none"})
"""What ``Sec-Fetch-Site`` says of a request by our own page, or by the user."""

FORWARDING_HEADERS = (FORWARDED_FOR, "Forwarded")
"""By these a proxy tells on whose behalf it asks."""

ANONYMOUS_CALLER = Caller(ANONYMOUS, Role.ANYONE)

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Vary": "Authorization, Cookie",
    "Cache-Control": "private",
}
"""Of every answer that says nothing else: a page has a policy of its own, which lets it load its
files."""

SERVER = "evalserver"
"""No versions, which would tell who looks for known faults where to begin."""

CHALLENGE = {"WWW-Authenticate": 'Bearer realm="evalserver"'}
"""Not Basic: browsers would ask for a password, and send it along from then on."""

MAX_QUOTED_CHARACTERS = 128


@dataclass(frozen=True)
class AccessPolicy:
    """What the gate goes by. On an ``open`` server everybody may do everything but make tokens;
    ``local_only`` says that it is so because nobody else was to reach it."""

    open: bool
    hosts: Hosts
    proxies: Proxies
    rate: RateLimit
    local_only: bool = False

    def allows(self, caller: Caller, needed: Role) -> bool:
        """May the caller do what a role is needed for?"""
        return self.open or caller.role.covers(needed)


ACCESS_POLICY = web.AppKey("access_policy", AccessPolicy)
ACCESS = web.AppKey("access", Access)
CALLER: web.RequestKey[Caller] = web.RequestKey("caller")
"""Who sent the request."""


def add_authorization(app: web.Application, policy: AccessPolicy) -> None:
    """Have every request of the application pass the gate."""
    app[ACCESS_POLICY] = policy
    app.middlewares.append(check_source)
    app.on_response_prepare.append(_add_security_headers)


@web.middleware
async def check_source(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what comes by a name that is not ours, or changes something from another's page."""
    if not is_local(request):
        _check_host(request)
        if request.app[ACCESS_POLICY].local_only:
            _check_not_forwarded(request)
        if request.method not in SAFE_METHODS:
            _check_origin(request)
    return await handler(request)


def authorize(request: web.Request, needed: Role) -> None:
    """Find out who sends the request, and let it pass to a route that needs this role.

    The caller is under ``CALLER`` from then on. Raises BadRequest: 401 for who shows no token that
    holds, 403 for one whose role is not enough, 429 for who asks too often. Browsers that want a
    page are led to the login instead of 401.
    """
    if is_local(request):
        request[CALLER] = LOCAL_OPERATOR
        return
    policy = request.app[ACCESS_POLICY]
    caller = caller_of(request, request.app[ACCESS], policy.proxies)
    if policy.rate.is_on:
        _check_rate(request, policy, caller)
    request[CALLER] = caller or ANONYMOUS_CALLER
    if policy.allows(request[CALLER], needed):
        return
    if caller is None:
        raise _unauthorized(request)
    raise BadRequest(
        HTTPStatus.FORBIDDEN,
        f"The token {caller.name} has the role {caller.role}; {request.method} {request.path} needs"
        f" the role {needed}",
    )


def is_still_authorized(request: web.Request) -> bool:
    """Does the token still hold with which a long answer was begun?"""
    return request.app[ACCESS_POLICY].open or request.app[ACCESS].is_valid(request[CALLER])


def require_still_authorized(request: web.Request) -> None:
    """Raise BadRequest (401) when the token does not hold any more with which was asked."""
    if not is_still_authorized(request):
        raise _unauthorized(request)


def require_own(request: web.Request, owner: str, what: str) -> None:
    """Raise BadRequest (403) unless it is the caller's own, or the caller is an administrator."""
    caller = request[CALLER]
    if caller.name != owner and not request.app[ACCESS_POLICY].allows(caller, Role.ADMIN):
        raise BadRequest(
            HTTPStatus.FORBIDDEN,
            f"{what} was submitted by {owner}; the token {caller.name} has the role {caller.role},"
            " which may change its own jobs only",
        )


def _check_host(request: web.Request) -> None:
    given = request.headers.getall(hdrs.HOST, [])
    if len(given) > 1:
        raise BadRequest(HTTPStatus.BAD_REQUEST, "The request names several hosts")
    # Only old programs leave it out, never a browser.
    if given and not request.app[ACCESS_POLICY].hosts.allow(given[0]):
        raise BadRequest(
            HTTPStatus.MISDIRECTED_REQUEST,
            f"This server is not called {_printable(given[0])!r}; if it is to be, start it with"
            " --allowed-host NAME",
        )


def _check_not_forwarded(request: web.Request) -> None:
    """A proxy of which nobody told the server would let all the world in."""
    forwarded = [name for name in FORWARDING_HEADERS if name in request.headers]
    if forwarded:
        raise BadRequest(
            HTTPStatus.FORBIDDEN,
            "This server asks nobody for a token, since only its own machine was to reach it, and"
            f" this request came by way of a proxy ({forwarded[0]}); start it with --trusted-proxy"
            " ADDRESS, and it asks for tokens, or with --auth none, and it lets everybody in",
        )


def _check_origin(request: web.Request) -> None:
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        if site.lower() not in OWN_PAGES:
            raise _cross_origin(f"a page of another site ({_printable(site)})")
        return
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is not None:
        if not is_same_origin(origin, request.headers.get(hdrs.HOST, "")):
            raise _cross_origin(f"a page of {_printable(origin)}")
    elif _shows_session(request) and shown_token(request) is None:
        raise _cross_origin("a browser that does not say which page")


def _shows_session(request: web.Request) -> bool:
    return shown_session(request, request.app[ACCESS_POLICY].proxies) is not None


def _cross_origin(whose: str) -> BadRequest:
    return BadRequest(
        HTTPStatus.FORBIDDEN,
        f"The request was sent by {whose}; only pages of this server may change something here",
    )


def _check_rate(request: web.Request, policy: AccessPolicy, caller: Caller | None) -> None:
    if caller is not None:
        who, key = f"the token {caller.name}", f"token {caller.token_id}"
    else:
        address = policy.proxies.client_address(request)
        who, key = f"the address {_printable(address)}", f"address {network_key(address)}"
    wait_s = policy.rate.wait_s(key)
    if wait_s > 0:
        seconds = math.ceil(wait_s)
        raise BadRequest(
            HTTPStatus.TOO_MANY_REQUESTS,
            f"Too many requests from {who}; try again in {seconds} s",
            headers={"Retry-After": str(seconds)},
        )


def _unauthorized(request: web.Request) -> BadRequest:
    if request.method == hdrs.METH_GET and "text/html" in request.headers.get(hdrs.ACCEPT, ""):
        where = quote(request.path_qs, safe="")
        raise web.HTTPSeeOther(f"/login?next={where}")
    shown = shown_token(request) is not None or _shows_session(request)
    said = (
        "The token is not known to this server: it may have been revoked, or have expired"
        if shown
        else "This server needs a token: send it as 'Authorization: Bearer evs_...'"
    )
    if shown:
        address = request.app[ACCESS_POLICY].proxies.client_address(request)
        log.warning("a request with a token that is not known", address=address)
    return BadRequest(
        HTTPStatus.UNAUTHORIZED,
        f"{said}. Administrators make tokens with 'evalserver token create'",
        headers=CHALLENGE,
    )


async def _add_security_headers(_request: web.Request, response: web.StreamResponse) -> None:
    headers = response.headers
    for name, value in SECURITY_HEADERS.items():
        headers.setdefault(name, value)
    headers[hdrs.SERVER] = SERVER


def _printable(text: str) -> str:
    return "".join(mark if mark.isprintable() else "?" for mark in text[:MAX_QUOTED_CHARACTERS])
