"""From a template to an answer: what every page has, and errors as pages."""

from collections.abc import Mapping
from functools import wraps
from http import HTTPStatus
from pathlib import Path
from typing import Any, cast

import orjson
from aiohttp import hdrs, web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from evalserver.core.job import Job
from evalserver.version import __version__
from evalserver.web.api.jobs import shown
from evalserver.web.api.static_files import SAFE_HEADERS
from evalserver.web.http.errors import CONTENT_TYPE as PROBLEM
from evalserver.web.http.errors import Handler, problem_middleware
from evalserver.web.http.responses import cacheable_response, dump
from evalserver.web.keys import QUERY, TEMPLATES
from evalserver.web.pages import words
from evalserver.web.pages.permissions import logged_in, may_change

HTMX = "HX-Request"
"""The header of what a script of the page asks for."""

DIRECTORY = Path(__file__).parents[1] / "templates"

FILTERS = (
    words.ago, words.exact, words.duration, words.number, words.signed, words.size,
    words.model_title, words.pretty,
)  # fmt: skip


def make_templates() -> Environment:
    """The templates: everything that is put into one is escaped, and a name that is not there is an
    error."""
    templates = Environment(
        loader=FileSystemLoader(DIRECTORY),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters.update({each.__name__: each for each in FILTERS})
    templates.globals.update(between=words.between, version=__version__)
    return templates


def page(
    request: web.Request, template: str, status: HTTPStatus = HTTPStatus.OK, **values: Any
) -> web.Response:
    """The page that a template makes of these values."""

    def may(job: Mapping[str, Any]) -> bool:
        return may_change(request, job["submitted_by"])

    text = (
        request.app[TEMPLATES]
        .get_template(template)
        .render(path=request.path, may=may, who=logged_in(request), **values)
    )
    if status is HTTPStatus.OK:
        response = cacheable_response(request, text.encode(), "text/html")
    else:
        response = web.Response(text=text, status=status, content_type="text/html")
    response.headers.update(SAFE_HEADERS)
    return response


async def answer(request: web.Request, handler: Handler, **query: Any) -> Any:
    """What a handler of the API answers to this query, read. Raises what the handler does."""
    request[QUERY] = query
    return _read(await handler(request))


async def seen(request: web.Request, job: Job, position: int | None) -> dict[str, Any]:
    """The job as the API shows it, read."""
    read: dict[str, Any] = orjson.loads(dump(await shown(request, job, position)))
    return read


def errors_as_pages(handler: Handler) -> Handler:
    """The handler, with what goes wrong told on a page, in the words of the API."""

    @wraps(handler)
    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            response = await problem_middleware(request, handler)
        except web.HTTPSeeOther as login:
            if HTMX not in request.headers:
                raise
            # Only the whole page can go there: a part of the login is no part of a page.
            return web.Response(headers={"HX-Redirect": login.headers[hdrs.LOCATION]})
        if response.content_type != PROBLEM:
            return response
        problem = _read(response)
        shown = page(request, "error.html", HTTPStatus(response.status), problem=problem)
        if hdrs.RETRY_AFTER in response.headers:
            shown.headers[hdrs.RETRY_AFTER] = response.headers[hdrs.RETRY_AFTER]
        return shown

    return handle


def _read(response: web.StreamResponse) -> Any:
    return orjson.loads(cast(bytes, cast(web.Response, response).body))
