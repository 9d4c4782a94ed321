"""Who sends a request: read from its headers, and held against the tokens."""

import base64
import binascii

from aiohttp import hdrs, web

from evalserver.auth.access import OPERATOR, Access, Caller
from evalserver.core.roles import Role
from evalserver.web.security.proxies import Proxies

LOCAL_OPERATOR = Caller(OPERATOR, Role.ADMIN)

BEARER, BASIC = "bearer", "basic"


def is_local(request: web.BaseRequest) -> bool:
    """Did it come by the socket in the data directory, which its owner alone can open?"""
    # The name of such a socket is a text; that of one on the network has a port, too.
    return isinstance(request.protocol.sockname, str | bytes)


def shown_token(request: web.BaseRequest) -> str | None:
    """The token that is shown in ``Authorization``: as Bearer, or as the password of Basic."""
    header = request.headers.get(hdrs.AUTHORIZATION)
    if header is None:
        return None
    scheme, _, value = header.partition(" ")
    kind = scheme.lower()
    if kind == BEARER:
        return value.strip()
    return _password(value.strip()) if kind == BASIC else ""


def session_cookie(request: web.BaseRequest, proxies: Proxies) -> str:
    """The name of the cookie: browsers send one to every port of a host, so the port is in it.

    Over TLS it has the prefix that browsers take from this very host alone, and over TLS alone:
    neither another name below the same domain nor a page without TLS can put one there.
    """
    sockname = request.protocol.sockname
    port = sockname[1] if isinstance(sockname, tuple) else 0
    prefix = "__Host-" if proxies.are_secure(request) else ""
    return f"{prefix}evalserver_{port}"


def shown_session(request: web.BaseRequest, proxies: Proxies) -> str | None:
    """What the browser shows since it logged in."""
    if hdrs.COOKIE not in request.headers:
        return None
    return request.cookies.get(session_cookie(request, proxies))


def caller_of(request: web.BaseRequest, access: Access, proxies: Proxies) -> Caller | None:
    """Whose token or session the request shows; None when it shows none that holds."""
    token = shown_token(request)
    if token is not None:
        return access.authenticate(token)
    session = shown_session(request, proxies)
    return None if session is None else access.authenticate_session(session)


def _password(value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[2]
    except (binascii.Error, ValueError):
        return ""
