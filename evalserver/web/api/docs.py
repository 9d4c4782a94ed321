"""The server's description, the page that shows it, and the files of its pages."""

from aiohttp import web

from evalserver.web.http.responses import cacheable_response
from evalserver.web.keys import DESCRIPTION, STATIC_FILES


async def get_description(request: web.Request) -> web.Response:
    """``GET /openapi.json``: what this server takes and answers, as OpenAPI 3.1."""
    return cacheable_response(request, request.app[DESCRIPTION].body)


async def get_docs(request: web.Request) -> web.Response:
    """``GET /docs``: a page that shows the description, and lets requests be tried."""
    return await request.app[STATIC_FILES].json_response(request, "docs.html")


async def get_file(request: web.Request) -> web.Response:
    """``GET /static/{folder}/{file}``: a file that a page of the server is made of."""
    folder, file = request.match_info["folder"], request.match_info["file"]
    return await request.app[STATIC_FILES].json_response(request, f"{folder}/{file}")
