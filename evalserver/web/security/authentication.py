"""Authentication of requests by token, session cookie or local socket."""

import base64
import binascii

from aiohttp import hdrs, web

from evalserver.auth.access import OPERATOR, Access, Caller
from evalserver.core.roles import Role
from evalserver.web.security.proxies import TrustedProxies

LOCAL_OPERATOR = Caller(OPERATOR, Role.ADMIN)

BEARER, BASIC = "bearer", "basic"


def is_local(request: web.BaseRequest) -> bool:
    """Return whether it was sent over the socket in the data directory, which only its owner can
    open."""
    # The name of a Unix socket is a string; that of a network socket is a tuple.
    return isinstance(request.protocol.sockname, str | bytes)


def presented_token(request: web.BaseRequest) -> str | None:
    """Return the token in ``Authorization``: as Bearer, or as the password of Basic."""
    header = request.headers.get(hdrs.AUTHORIZATION)
    if header is None:
        return None
    scheme, _, value = header.partition(" ")
    kind = scheme.lower()
    if kind == BEARER:
        return value.strip()
    return _basic_password(value.strip()) if kind == BASIC else ""


def session_cookie(request: web.BaseRequest, proxies: TrustedProxies) -> str:
    """Return the name of the session cookie.

    It contains the port, since browsers send cookies to all ports of a host. Over TLS it has the
    prefix ``__Host-``, with which neither a sibling domain nor a page without TLS can set it.
    """
    sockname = request.protocol.sockname
    port = sockname[1] if isinstance(sockname, tuple) else 0
    prefix = "__Host-" if proxies.is_secure(request) else ""
    return f"{prefix}evalserver_{port}"


def presented_session(request: web.BaseRequest, proxies: TrustedProxies) -> str | None:
    """Return the session in the cookie of a browser that has logged in."""
    if hdrs.COOKIE not in request.headers:
        return None
    return request.cookies.get(session_cookie(request, proxies))


def authenticate_request(
    request: web.BaseRequest, access: Access, proxies: TrustedProxies
) -> Caller | None:
    """Return the caller by token or session; None without a valid one."""
    token = presented_token(request)
    if token is not None:
        return access.authenticate(token)
    session = presented_session(request, proxies)
    return None if session is None else access.authenticate_session(session)


def _basic_password(value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[2]
    except (binascii.Error, ValueError):
        return ""
