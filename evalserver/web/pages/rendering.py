"""Rendering templates into responses, and errors as pages."""

from collections.abc import Mapping
from functools import wraps
from http import HTTPStatus
from pathlib import Path
from typing import Any, cast

import orjson
from aiohttp import hdrs, web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from evalserver.core.job import Job
from evalserver.core.job_id import short_job_id
from evalserver.core.model_title import model_title
from evalserver.version import __version__
from evalserver.web.api.jobs import serialize_job
from evalserver.web.api.static_files import PAGE_HEADERS
from evalserver.web.http.errors import CONTENT_TYPE as PROBLEM
from evalserver.web.http.errors import Handler, error_response
from evalserver.web.http.responses import cacheable_response, dump
from evalserver.web.keys import QUERY, TEMPLATES
from evalserver.web.pages import formatting
from evalserver.web.pages.permissions import logged_in_user, may_change
from evalserver.web.pages.scores import scores

HTMX = "HX-Request"
"""The header of requests that htmx sends."""

PUSH_URL = "HX-Push-Url"
"""The header with the URL that htmx shows in the address bar."""

DIRECTORY = Path(__file__).parents[1] / "templates"

FILTERS = (
    formatting.ago, formatting.exact, formatting.duration, formatting.number, formatting.signed,
    formatting.size, formatting.gpu_memory, formatting.pretty, formatting.middle,
    formatting.polyline, formatting.p_value, formatting.link_jobs, model_title,
    short_job_id, scores,
)  # fmt: skip


def make_templates() -> Environment:
    """Return the template environment: values are escaped, and undefined names are errors."""
    templates = Environment(
        loader=FileSystemLoader(DIRECTORY),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters.update({each.__name__: each for each in FILTERS})
    templates.globals.update(between=formatting.between, version=__version__)
    return templates


def render_page(
    request: web.Request, template: str, status: HTTPStatus = HTTPStatus.OK, **values: Any
) -> web.Response:
    """Render a template with these values into a response."""

    def may_change_job(job: Mapping[str, Any]) -> bool:
        return may_change(request, job["submitted_by"])

    text = (
        request.app[TEMPLATES]
        .get_template(template)
        .render(
            path=request.path,
            may_change=may_change_job,
            username=logged_in_user(request),
            **values,
        )
    )
    if status is HTTPStatus.OK:
        response = cacheable_response(request, text.encode(), "text/html")
    else:
        response = web.Response(text=text, status=status, content_type="text/html")
    response.headers.update(PAGE_HEADERS)
    return response


async def call_api(request: web.Request, handler: Handler, **query: Any) -> Any:
    """Call a handler of the API with this query; return its parsed response.

    Raises what the handler raises.
    """
    request[QUERY] = query
    return _parse_body(await handler(request))


async def job_json(request: web.Request, job: Job, position: int | None) -> dict[str, Any]:
    """Return the job as the API serializes it."""
    serialized: dict[str, Any] = orjson.loads(dump(await serialize_job(request, job, position)))
    return serialized


async def get_unknown_page(request: web.Request) -> web.Response:
    """``GET /ui/{path}``: the error page of an address that no page has."""
    raise web.HTTPNotFound


def errors_as_pages(handler: Handler) -> Handler:
    """Wrap a handler so that its errors become pages with the API's error texts."""

    @wraps(handler)
    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            response = await handler(request)
        except web.HTTPSeeOther as redirect:
            if HTMX not in request.headers:
                raise
            # htmx would swap the login form into the page; with this header it loads a new page.
            return web.Response(headers={"HX-Redirect": redirect.headers[hdrs.LOCATION]})
        except Exception as error:  # the page of an error shows what the API says
            response = error_response(request, error)
        if response.content_type != PROBLEM:
            return response
        problem = _parse_body(response)
        error_page = render_page(
            request,
            "error.html",
            HTTPStatus(response.status),
            problem=problem,
            job_id=request.match_info.get("job_id"),
        )
        if hdrs.RETRY_AFTER in response.headers:
            error_page.headers[hdrs.RETRY_AFTER] = response.headers[hdrs.RETRY_AFTER]
        return error_page

    return handle


def _parse_body(response: web.StreamResponse) -> Any:
    return orjson.loads(cast(bytes, cast(web.Response, response).body))
