"""Authorizing requests: by host name, origin, caller and rate.

``check_source`` is for every request, also those without a route;
``authorize`` checks that the caller has the role that a route requires.
"""

import math
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import quote

import structlog
from aiohttp import hdrs, web
from multidict import istr

from evalserver.auth.access import ANONYMOUS, Access, Caller
from evalserver.core.roles import Role
from evalserver.system.sockets import network_key
from evalserver.web.http.errors import BadRequest
from evalserver.web.security.allowed_hosts import AllowedHosts, is_same_origin
from evalserver.web.security.authentication import (
    LOCAL_OPERATOR,
    authenticate_request,
    is_local,
    presented_session,
    presented_token,
)
from evalserver.web.security.proxies import FORWARDED_FOR, TrustedProxies
from evalserver.web.security.rate_limit import RateLimit

log = structlog.get_logger("evalserver.web")

SAFE_METHODS = frozenset({hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS})
"""Methods that change nothing."""
ALLOWED_FETCH_SITES = frozenset({"same-origin", "none"})
"""Values of ``Sec-Fetch-Site`` for requests by our own pages, or by the user."""

FORWARDING_HEADERS = (FORWARDED_FOR, "Forwarded")
"""Headers with which a proxy forwards a client's address."""

ANONYMOUS_CALLER = Caller(ANONYMOUS, Role.ANYONE)

SECURITY_HEADERS = {
    istr("X-Content-Type-Options"): "nosniff",
    istr("Content-Security-Policy"): "default-src 'none'; frame-ancestors 'none'",
    istr("X-Frame-Options"): "DENY",
    istr("Referrer-Policy"): "same-origin",
    istr("Cross-Origin-Resource-Policy"): "same-origin",
    istr("Vary"): "Authorization, Cookie",
    istr("Cache-Control"): "private",
}
"""Default headers of every response. Pages have a content security policy of their own."""

SERVER = "evalserver"
"""Without versions, which would help attackers to find known vulnerabilities."""

CHALLENGE = {"WWW-Authenticate": 'Bearer realm="evalserver"'}
"""Not Basic, since browsers would prompt for a password and send it with every request."""

MAX_QUOTED_CHARACTERS = 128


@dataclass(frozen=True)
class AccessPolicy:
    """The rules of authorization.

    On an ``open`` server, all callers have all permissions except to manage tokens. ``local_only``
    means that it is open only because it is on loopback.
    """

    open: bool
    hosts: AllowedHosts
    proxies: TrustedProxies
    rate: RateLimit
    local_only: bool = False

    def allows(self, caller: Caller, needed: Role) -> bool:
        """Return whether the caller has the permissions of a role."""
        return self.open or caller.role.covers(needed)


ACCESS_POLICY = web.AppKey("access_policy", AccessPolicy)
ACCESS = web.AppKey("access", Access)
CALLER: web.RequestKey[Caller] = web.RequestKey("caller")
"""The sender of the request."""


def check_source(request: web.Request) -> None:
    """Raise BadRequest for a host that is not allowed, and for cross-origin requests that may
    write."""
    if is_local(request):
        return
    _check_host(request)
    if request.app[ACCESS_POLICY].local_only:
        _check_not_forwarded(request)
    if request.method not in SAFE_METHODS:
        _check_origin(request)


def authorize(request: web.Request, needed: Role) -> None:
    """Authenticate the sender of a request, and require a role.

    Stores the caller under ``CALLER``. Raises BadRequest: 401 without a valid token, 403 if the
    role is insufficient, 429 above the rate limit. Browsers that request a page are redirected to
    the login instead of 401.
    """
    if is_local(request):
        request[CALLER] = LOCAL_OPERATOR
        return
    policy = request.app[ACCESS_POLICY]
    caller = authenticate_request(request, request.app[ACCESS], policy.proxies)
    if policy.rate.is_on:
        _check_rate(request, policy, caller)
    request[CALLER] = caller or ANONYMOUS_CALLER
    if policy.allows(request[CALLER], needed):
        return
    if caller is None:
        raise _unauthorized_error(request)
    raise BadRequest(
        HTTPStatus.FORBIDDEN,
        f"The token {caller.name} has the role {caller.role}; {request.method} {request.path} needs"
        f" the role {needed}",
    )


def is_still_authorized(request: web.Request) -> bool:
    """Return whether the token of a request is still valid, during a long response."""
    return request.app[ACCESS_POLICY].open or request.app[ACCESS].is_valid(request[CALLER])


def require_still_authorized(request: web.Request) -> None:
    """Raise BadRequest (401) if the token of a request is no longer valid."""
    if not is_still_authorized(request):
        raise _unauthorized_error(request)


def require_own(request: web.Request, owner: str, what: str) -> None:
    """Raise BadRequest (403) unless the caller is the owner or an administrator."""
    caller = request[CALLER]
    if caller.name != owner and not request.app[ACCESS_POLICY].allows(caller, Role.ADMIN):
        raise BadRequest(
            HTTPStatus.FORBIDDEN,
            f"{what} was submitted by {owner}; the token {caller.name} has the role {caller.role},"
            " which may only change its own jobs",
        )


def _check_host(request: web.Request) -> None:
    given = request.headers.getall(hdrs.HOST, [])
    if len(given) > 1:
        raise BadRequest(HTTPStatus.BAD_REQUEST, "The request has several Host headers")
    # Only old HTTP clients leave it out; browsers never do.
    if given and not request.app[ACCESS_POLICY].hosts.allows(given[0]):
        raise BadRequest(
            HTTPStatus.MISDIRECTED_REQUEST,
            f"The host name {_replace_unprintable(given[0])!r} is not allowed; to allow it, start"
            " the server with --allowed-host NAME",
        )


def _check_not_forwarded(request: web.Request) -> None:
    """Reject forwarded requests: a proxy that is not configured may forward for any client."""
    forwarded = [name for name in FORWARDING_HEADERS if name in request.headers]
    if forwarded:
        raise BadRequest(
            HTTPStatus.FORBIDDEN,
            "This server requires no tokens, since it only serves its own machine, but this request"
            f" was forwarded by a proxy ({forwarded[0]}); start the server with --trusted-proxy"
            " ADDRESS to require tokens, or with --auth none to give all clients access",
        )


def _check_origin(request: web.Request) -> None:
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        if site.lower() not in ALLOWED_FETCH_SITES:
            raise _cross_origin_error(f"a page of another site ({_replace_unprintable(site)})")
        return
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is not None:
        if not is_same_origin(origin, request.headers.get(hdrs.HOST, "")):
            raise _cross_origin_error(f"a page of {_replace_unprintable(origin)}")
    elif _has_session(request) and presented_token(request) is None:
        raise _cross_origin_error("a browser that does not say which page")


def _has_session(request: web.Request) -> bool:
    return presented_session(request, request.app[ACCESS_POLICY].proxies) is not None


def _cross_origin_error(source: str) -> BadRequest:
    return BadRequest(
        HTTPStatus.FORBIDDEN,
        f"The request was sent by {source}; only pages of this server may send requests that write",
    )


def _check_rate(request: web.Request, policy: AccessPolicy, caller: Caller | None) -> None:
    if caller is not None:
        who, key = f"the token {caller.name}", f"token {caller.token_id}"
    else:
        address = policy.proxies.client_address(request)
        who, key = f"the address {_replace_unprintable(address)}", f"address {network_key(address)}"
    wait_seconds = policy.rate.acquire(key)
    if wait_seconds > 0:
        seconds = math.ceil(wait_seconds)
        raise BadRequest(
            HTTPStatus.TOO_MANY_REQUESTS,
            f"Too many requests from {who}; try again in {seconds} s",
            headers={"Retry-After": str(seconds)},
        )


def _unauthorized_error(request: web.Request) -> BadRequest:
    if request.method == hdrs.METH_GET and "text/html" in request.headers.get(hdrs.ACCEPT, ""):
        where = quote(request.path_qs, safe="")
        raise web.HTTPSeeOther(f"/login?next={where}")
    has_credentials = presented_token(request) is not None or _has_session(request)
    problem = (
        "The token is unknown: it may have been revoked, or have expired"
        if has_credentials
        else "This server requires a token: send it as 'Authorization: Bearer evs_...'"
    )
    if has_credentials:
        address = request.app[ACCESS_POLICY].proxies.client_address(request)
        log.warning("request with an unknown token", address=address)
    return BadRequest(
        HTTPStatus.UNAUTHORIZED,
        f"{problem}. Administrators create tokens with 'evalserver token create'",
        headers=CHALLENGE,
    )


def add_security_headers(response: web.StreamResponse) -> None:
    """Add the default headers that a response does not have."""
    headers = response.headers
    for name, value in SECURITY_HEADERS.items():
        headers.setdefault(name, value)
    headers[hdrs.SERVER] = SERVER


def _replace_unprintable(text: str) -> str:
    return "".join(mark if mark.isprintable() else "?" for mark in text[:MAX_QUOTED_CHARACTERS])
