"""Bytes that are not valid UTF-8, anywhere in a request: rejected or ignored, never a 500."""

import asyncio
from pathlib import Path

import pytest

from evalserver.web.pages.table import PAGES
from evalserver.web.routes import ROUTES
from tests.conftest import MakeApi
from tests.support import Api

BYTES = b"\xff\xfe\x80"

HEADERS: dict[str, tuple[bytes, ...]] = {
    "Accept": (BYTES,),
    "Authorization": (BYTES, b"Bearer " + BYTES, b"Basic " + BYTES),
    "Content-Encoding": (BYTES,),
    "Content-Type": (BYTES, b"application/json; charset=" + BYTES),
    "Cookie": (BYTES, b"evalserver_0=" + BYTES),
    "Expect": (BYTES,),
    "Forwarded": (BYTES,),
    "Host": (BYTES, b"localhost:" + BYTES),
    "Idempotency-Key": (BYTES,),
    "If-Modified-Since": (BYTES,),
    "If-None-Match": (BYTES, b'"' + BYTES + b'"'),
    "If-Range": (BYTES,),
    "Last-Event-ID": (BYTES,),
    "Origin": (BYTES, b"http://" + BYTES),
    "Prefer": (BYTES, b"wait=" + BYTES),
    "Range": (BYTES, b"bytes=" + BYTES),
    "Sec-Fetch-Site": (BYTES,),
    "X-Forwarded-For": (BYTES,),
    "X-Forwarded-Proto": (BYTES,),
}


async def status_of(api: Api, head: bytes, body: bytes = b"") -> int:
    """Return the status of the response to a request with this raw head."""
    reader, writer = await asyncio.open_connection("127.0.0.1", api._session.port)
    try:
        writer.write(head + b"\r\n\r\n" + body)
        async with asyncio.timeout(60):
            return int((await reader.readline()).split()[1])
    finally:
        writer.close()


def _head(method: str, path: bytes, header: str, value: bytes) -> bytes:
    lines = {"Host": b"localhost", "Content-Length": b"2", "Content-Type": b"application/json"}
    if method in ("GET", "HEAD"):
        del lines["Content-Length"], lines["Content-Type"]
    lines[header] = value
    header_lines = b"\r\n".join(name.encode() + b": " + text for name, text in lines.items())
    return method.encode() + b" " + path + b" HTTP/1.1\r\n" + header_lines


def _path(template: str) -> bytes:
    parts = template.replace("}", "{").split("{")
    return "".join("x" if number % 2 else part for number, part in enumerate(parts)).encode()


@pytest.mark.parametrize("header", HEADERS)
async def test_no_header_of_any_route_causes_a_500(api: Api, header: str) -> None:
    statuses = {}
    for route in (*ROUTES, *PAGES):
        for value in HEADERS[header]:
            body = b"" if route.method == "GET" else b"{}"
            head = _head(route.method, _path(route.path), header, value)
            statuses[route.method, route.path, value] = await status_of(api, head, body)

    assert not {sent: status for sent, status in statuses.items() if status == 500}


@pytest.mark.parametrize("template", [b"%s", b"?x=%s", b"?search=%s", b"?%s=1", b"?wait=%s"])
@pytest.mark.parametrize("data", [BYTES, b"%ff%fe", b"%ed%a0%80"])
async def test_no_path_or_query_causes_a_500(api: Api, template: bytes, data: bytes) -> None:
    statuses = {}
    for route in (*ROUTES, *PAGES):
        if route.method == "GET":
            path = _path(route.path) + template % data
            statuses[route.path] = await status_of(api, _head("GET", path, "Accept", b"*/*"))

    assert not {sent: status for sent, status in statuses.items() if status == 500}


@pytest.mark.parametrize("header", ["Authorization", "Cookie", "X-Forwarded-For", "Host"])
async def test_no_header_causes_a_500_with_authentication_behind_a_proxy(
    make_api: MakeApi, data_dir: Path, header: str
) -> None:
    api = await make_api(auth="token", trusted_proxy=("127.0.0.1",), rate_limit=1000)

    statuses = {
        await status_of(api, _head("GET", b"/jobs", header, value)) for value in HEADERS[header]
    }

    assert 500 not in statuses
