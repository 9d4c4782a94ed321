"""The OpenAPI document, the page that shows it, and static files."""

from aiohttp import web

from evalserver.web.http.responses import cacheable_response
from evalserver.web.keys import OPENAPI, STATIC_FILES


async def get_description(request: web.Request) -> web.Response:
    """``GET /openapi.json``: the OpenAPI 3.1 document of this server."""
    return cacheable_response(request, request.app[OPENAPI].body)


async def get_docs(request: web.Request) -> web.Response:
    """``GET /docs``: a page that shows the OpenAPI document, and can send requests."""
    return await request.app[STATIC_FILES].respond(request, "docs.html")


async def get_file(request: web.Request) -> web.Response:
    """``GET /static/{folder}/{file}``: a static file of a page."""
    folder, file = request.match_info["folder"], request.match_info["file"]
    return await request.app[STATIC_FILES].respond(request, f"{folder}/{file}")
