"""Limits, encodings and content types of request bodies."""

import asyncio
import gzip
import json
import zlib
from pathlib import Path
from typing import Any

import pytest

from evalserver.web.http import requests
from tests.conftest import MakeApi
from tests.support import Api, Json, ServerProcess, request

BODY = json.dumps(request(model_args={"behave": "hang"})).encode()
MEGABYTE = 1024 * 1024
JSON = "Content-Type: application/json"


async def exchange(port: int, *pieces: bytes) -> tuple[int, bytes]:
    """Send bytes over a new connection; return the status and the raw response.

    Each further piece is sent once the server has responded to the previous one."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    raw = b""
    for number, piece in enumerate(pieces):
        if number:
            raw += await reader.readuntil(b"\r\n\r\n")
        writer.write(piece)
        await writer.drain()
    raw += await reader.readuntil(b"\r\n\r\n")
    head = raw.rpartition(b"HTTP/1.")[2]
    length = [int(line[16:]) for line in head.lower().split(b"\r\n") if b"content-length" in line]
    raw += await reader.readexactly(length[0])
    writer.close()
    return int(head[2:5]), raw


def port_of(api: Api) -> int:
    """Return the port of the test's application."""
    return int(api._session.port)


def post(*headers: str, body: bytes = b"") -> bytes:
    """Build a submission with these headers."""
    lines = ["POST /evaluate HTTP/1.1", "Host: localhost", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def chunked(body: bytes, size: int = 65536) -> bytes:
    """Encode the body in chunks, as for an unknown length."""
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in [*parts, b""])


def _peak_memory(server: ServerProcess) -> int:
    """Return the server's peak memory so far, in bytes."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    [peak] = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
    return int(peak) * 1024


def problem_of(raw: bytes) -> Json:
    """Parse the problem document at the end of the response."""
    problem: Json = json.loads(raw.rpartition(b"\r\n\r\n")[2])
    return problem


async def test_a_body_with_an_excessive_content_length_is_rejected_before_it_is_sent(
    api: Api,
) -> None:
    status, raw = await exchange(port_of(api), post(JSON, f"Content-Length: {MEGABYTE + 1}"))

    assert status == 413
    assert problem_of(raw)["detail"] == (
        "The body must have at most 1048576 bytes (the server's setting max_body_bytes)"
    )


async def test_a_chunked_body_is_rejected_when_it_exceeds_the_limit(api: Api) -> None:
    body = chunked(b" " * (MEGABYTE + 1))

    status, raw = await exchange(port_of(api), post(JSON, "Transfer-Encoding: chunked", body=body))

    assert status == 413
    assert "at most 1048576 bytes" in problem_of(raw)["detail"]


async def test_a_chunked_body_is_accepted(api: Api) -> None:
    body = chunked(BODY, size=7)

    status, _ = await exchange(port_of(api), post(JSON, "Transfer-Encoding: chunked", body=body))

    assert status == 200


async def test_the_size_limit_of_bodies_is_a_setting(make_api: MakeApi) -> None:
    api = await make_api(max_body_bytes=2048)

    await api.call("POST", "/evaluate", 413, json=request(model_args={"a": "x" * 2048}))
    await api.call("POST", "/evaluate", json=request(model_args={"a": "x" * 1024}))


async def test_a_body_sent_along_with_its_headers_has_the_same_limit(make_api: MakeApi) -> None:
    api = await make_api(max_body_bytes=1024)
    body = chunked(b" " * 1025)

    status, raw = await exchange(port_of(api), post(JSON, "Transfer-Encoding: chunked", body=body))

    assert status == 413
    assert "at most 1024 bytes" in problem_of(raw)["detail"]


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "gzip, gzip", "nonsense"])
async def test_a_compressed_body_is_rejected_without_decompressing_it(
    server: ServerProcess, encoding: str
) -> None:
    zeros = b" " * (100 * MEGABYTE)
    bomb = gzip.compress(zeros, 1) if encoding == "gzip" else zlib.compress(zeros, 1)
    headers = JSON, f"Content-Length: {len(bomb)}", f"Content-Encoding: {encoding}"
    async with server:
        before = _peak_memory(server)

        status, raw = await exchange(server.port, post(*headers, body=bomb))
        growth = _peak_memory(server) - before

    assert status == 415
    assert f"without Content-Encoding, not with {encoding}" in problem_of(raw)["detail"]
    assert growth < 20 * MEGABYTE


async def test_a_body_is_requested_with_100_continue(api: Api) -> None:
    head = post(JSON, f"Content-Length: {len(BODY)}", "Expect: 100-continue")

    status, raw = await exchange(port_of(api), head, BODY)

    assert raw.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")
    assert status == 200


async def test_a_form_is_requested_with_100_continue(api: Api) -> None:
    form = b"token=evs_unknown"
    head = "\r\n".join(
        [
            "POST /login HTTP/1.1",
            "Host: localhost",
            "Content-Type: application/x-www-form-urlencoded",
            f"Content-Length: {len(form)}",
            "Expect: 100-continue",
            "\r\n",
        ]
    )

    async with asyncio.timeout(30):
        status, raw = await exchange(port_of(api), head.encode(), form)

    assert raw.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 401")
    assert status == 401


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("Content-Type: text/plain", 415),
        (f"{JSON}\r\nContent-Encoding: gzip", 415),
        (f"{JSON}\r\nContent-Length: {MEGABYTE + 1}", 413),
    ],
)
async def test_a_body_that_will_be_rejected_is_not_requested(
    api: Api, header: str, status: int
) -> None:
    length = "" if "Length" in header else "\r\nContent-Length: 100"

    found, raw = await exchange(port_of(api), post(f"{header}{length}", "Expect: 100-continue"))

    assert found == status
    assert b"100 Continue" not in raw


async def test_an_unknown_expectation_is_417(api: Api) -> None:
    status, raw = await exchange(port_of(api), post(JSON, "Content-Length: 2", "Expect: wonders"))

    assert status == 417
    assert problem_of(raw)["detail"] == "Expect may be 100-continue, not 'wonders'"


async def test_a_body_that_does_not_arrive_times_out(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "BODY_SECONDS", 0.2)

    status, raw = await exchange(port_of(api), post(JSON, "Content-Length: 100", body=b"{"))

    assert status == 408
    assert "was not received within 0.2 seconds" in problem_of(raw)["detail"]
    assert b"Connection: close" in raw


@pytest.mark.parametrize("extra", [b'{"model": "another"}', b"GET /health HTTP/1.1\r\n\r\n"])
async def test_bytes_beyond_the_content_length_are_not_part_of_the_body(
    api: Api, extra: bytes
) -> None:
    head = post(JSON, f"Content-Length: {len(BODY)}", body=BODY)

    await exchange(port_of(api), head, extra + b"\r\n\r\n")

    queue = await api.call("GET", "/queue")
    assert queue["queue_size"] + (queue["running_job"] is not None) == 1


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json; charset=latin-1",
        "application/json; charset=utf-8; charset=latin-1",
        "application/json; charset=utf-16",
        "application/jsonl",
        "text/json",
    ],
)
async def test_a_content_type_other_than_plain_json_is_415(api: Api, content_type: str) -> None:
    headers = f"Content-Type: {content_type}", f"Content-Length: {len(BODY)}"

    status, raw = await exchange(port_of(api), post(*headers, body=BODY))

    assert status == 415
    assert "application/json, in UTF-8, not" in problem_of(raw)["detail"]


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "Application/JSON; charset=UTF-8", 'application/json;charset="utf-8"'],
)
async def test_utf_8_json_is_accepted_with_every_spelling_of_the_charset(
    api: Api, content_type: str
) -> None:
    headers = {"Content-Type": content_type}

    await api.call("POST", "/evaluate", data=BODY, headers=headers)


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/queue"), ("DELETE", "/jobs/x"), ("POST", "/jobs/x/retry")]
)
async def test_a_body_is_rejected_where_none_is_expected(api: Api, method: str, path: str) -> None:
    problem = await api.call(method, path, 400, json={"engine": "lm_eval"})

    assert problem["detail"] == f"{method} {path} takes no body; send it without one"


async def test_an_empty_body_counts_as_none(api: Api) -> None:
    await api.call("POST", "/jobs/x/retry", 404, data=b"")


async def test_an_unknown_field_is_rejected_even_if_it_is_null(api: Api) -> None:
    problem = await api.call("POST", "/evaluate", 422, json=request(num_gpu=None))

    assert problem["errors"][0]["message"] == "Unknown field. Did you mean 'num_gpus'?"


@pytest.mark.parametrize("levels", [17, 18, 500])
async def test_the_error_for_deep_nesting_states_the_limit(api: Api, levels: int) -> None:
    nested: Any = 1
    for _ in range(levels):
        nested = [nested]

    problem = await api.call("POST", "/evaluate", 422, json=request(model_args={"a": nested}))

    assert problem["errors"] == [
        {"field": "model_args.a", "message": "Must not be nested more than 16 levels deep."}
    ]


async def test_nesting_up_to_the_limit_is_accepted(api: Api) -> None:
    nested: Any = 1
    for _ in range(16):
        nested = [nested]

    await api.call("POST", "/evaluate", json=request(model_args={"a": nested}))
