"""The files of the server's pages, with the headers that keep a page to itself."""

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
"""What is served, by suffix; licences and the like are not."""

POLICY = (
    "default-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""A page loads what this server has, and nothing else: no inline script, nothing from elsewhere."""

SAFE_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}
"""What every page, and every file of one, is sent with."""


class StaticFiles:
    """The files that there are when the server starts; no name leads to any other."""

    def __init__(self, directory: Path = DIRECTORY) -> None:
        found = (path for path in directory.rglob("*") if path.suffix in MEDIA_TYPES)
        self._paths = {path.relative_to(directory).as_posix(): path for path in found}

    async def json_response(self, request: web.Request, name: str) -> web.Response:
        """The file as an answer. Raises aiohttp's HTTPNotFound for a name that is not known."""
        path = self._paths.get(name)
        if path is None:
            raise web.HTTPNotFound
        body = await asyncio.to_thread(path.read_bytes)
        response = cacheable_response(request, body, MEDIA_TYPES[path.suffix])
        response.headers.update(SAFE_HEADERS)
        return response
