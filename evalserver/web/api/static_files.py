"""The static files of the server's pages, and the security headers of pages."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from aiohttp import web

from evalserver.web.http.responses import cacheable_response

DIRECTORY = Path(__file__).parents[1] / "static"

MEDIA_TYPES: Mapping[str, str] = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}
"""The media types of served files, by suffix; other files, such as licences, are not served."""

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""Pages load only files of this server: no inline scripts, and nothing from other sites."""

PAGE_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}
"""Headers of every page and static file."""


class StaticFiles:
    """The static files, listed at start-up; no other file can be requested."""

    def __init__(self, directory: Path = DIRECTORY) -> None:
        found = (path for path in directory.rglob("*") if path.suffix in MEDIA_TYPES)
        self._paths = {path.relative_to(directory).as_posix(): path for path in found}

    async def respond(self, request: web.Request, name: str) -> web.Response:
        """Respond with a file. Raises HTTPNotFound for an unknown name."""
        path = self._paths.get(name)
        if path is None:
            raise web.HTTPNotFound
        body = await asyncio.to_thread(path.read_bytes)
        response = cacheable_response(request, body, MEDIA_TYPES[path.suffix])
        response.headers.update(PAGE_HEADERS)
        return response
