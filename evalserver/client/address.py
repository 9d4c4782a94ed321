"""The server's address and the client's credentials."""

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.request import getproxies

import httpx

URL_VARIABLE = "EVALSERVER_URL"
TOKEN_VARIABLE = "EVALSERVER_TOKEN"  # noqa: S105 - the name of a variable
AUTHORITIES_VARIABLE = "SSL_CERT_FILE"
DEFAULT_URL = "http://localhost:8000"

MAX_PORT = 65535


@dataclass(frozen=True)
class Address:
    """A server's URL without a trailing slash, and the value of the header ``Authorization``.

    The URL never contains a password, so it can be shown.
    """

    url: str
    authorization: str | None

    def verification(self) -> ssl.SSLContext:
        """Return the TLS context for httpx.

        Loading the known authorities takes a tenth of a second, so without TLS it is skipped; the
        context then trusts no certificate. Raises ValueError when the file of authorities that the
        environment names cannot be read.
        """
        if not self.url.startswith("https:") and not getproxies():
            return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            return httpx.create_ssl_context()
        except OSError as error:  # that of ssl among them
            raise ValueError(_explain_unreadable(error)) from error


def address(url: str | None, token: str | None, environment: Mapping[str, str]) -> Address:
    """Return the address from the arguments, the environment, or the default, in this order.

    A token in the URL, as in ``http://x:TOKEN@host``, takes precedence over the environment. White
    space around a token is removed, since many tokens come from files. Raises ValueError when the
    URL is invalid, or the token cannot be sent in a header.
    """
    given = url or environment.get(URL_VARIABLE) or DEFAULT_URL
    parsed = _parse(given)
    where = str(parsed.copy_with(username=None, password=None)).rstrip("/")
    if token is None and parsed.userinfo:
        return Address(where, _basic_authorization(parsed))
    secret = _require_sendable(token if token is not None else environment.get(TOKEN_VARIABLE, ""))
    return Address(where, f"Bearer {secret}" if secret else None)


def _explain_unreadable(error: OSError) -> str:
    reason = error.strerror or error
    named = os.environ.get(AUTHORITIES_VARIABLE)
    if not named:
        return f"the known authorities for certificates cannot be read: {reason}"
    return (
        f"{AUTHORITIES_VARIABLE}: the certificates of authorities cannot be read from {named!r}:"
        f" {reason}; name a file in PEM, or unset it"
    )


def _require_sendable(token: str) -> str:
    secret = token.strip()
    if not (secret.isascii() and secret.isprintable()):
        raise ValueError(
            "token: it must have printable ASCII characters only "
            f"(it comes from the argument or from {TOKEN_VARIABLE})"
        )
    return secret


def _parse(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url.strip())
    except httpx.InvalidURL as error:
        raise ValueError(f"base_url: {url!r} is not a URL: {error}") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ValueError(
            f"base_url: {url!r} must be like {DEFAULT_URL}: http:// or https://, a host"
        )
    if parsed.query or parsed.fragment or (parsed.port or 0) > MAX_PORT:
        raise ValueError(
            f"base_url: {url!r} must be like {DEFAULT_URL}: a port up to {MAX_PORT}, and no ? or #"
        )
    return parsed


def _basic_authorization(url: httpx.URL) -> str:
    auth = httpx.BasicAuth(url.username, url.password)
    request = next(auth.auth_flow(httpx.Request("GET", url)))
    return request.headers["Authorization"]
