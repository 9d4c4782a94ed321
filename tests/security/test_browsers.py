"""Pages of other sites cannot make a browser act on the server."""

import re
import socket
import sqlite3
from contextlib import closing
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from evalserver.core.roles import Role
from tests.security.lab import Lab
from tests.support import WAIT_SECONDS

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
BODY = {"model": "dummy", "tasks": ["mme"]}


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example",
        "169.254.169.254", "10.0.0.1:80", "localhost@evil.example", "[::ffff:7f00:2]", "",
        "127.0.0.1, evil.example", "evil.example/127.0.0.1", "\xff",
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/health", "/jobs", "/nothing", "/login"])
def test_a_foreign_host_name_is_rejected(lab: Lab, host: str, path: str) -> None:
    headers = [(b"Host", host.encode("latin-1"))]

    response = lab.client.get(lab.server.url + path, headers=headers)

    assert response.status_code in (400, 421)
    if host and response.status_code == 421:
        assert "--allowed-host" in response.json()["detail"]


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:99", "[::1]:8000"])
def test_the_servers_own_names_are_accepted_with_any_port(lab: Lab, host: str) -> None:
    response = lab.client.get(f"{lab.server.url}/health", headers={"Host": host})

    assert response.status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1"},
        {"Origin": "file://"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:1"},
        {},
    ],
)
def test_another_sites_page_cannot_use_a_browsers_session(
    lab: Lab, headers: dict[str, str]
) -> None:
    browser = lab.log_in(Role.SUBMITTER)

    response = browser.post("/evaluate", json=BODY, headers=headers)

    assert response.status_code == 403


@pytest.mark.parametrize("header", ["origin", "fetch metadata"])
def test_the_servers_own_page_can_use_the_session(lab: Lab, header: str) -> None:
    browser = lab.log_in(Role.SUBMITTER)
    headers = {
        "origin": {"Origin": lab.server.url},
        "fetch metadata": {"Sec-Fetch-Site": "same-origin"},
    }

    assert browser.post("/evaluate", json=BODY, headers=headers[header]).status_code == 200


def test_another_sites_page_cannot_use_remembered_basic_credentials(lab: Lab) -> None:
    auth = ("x", lab.tokens[Role.SUBMITTER])
    headers = {"Origin": "http://evil.example"}

    response = lab.client.post(f"{lab.server.url}/evaluate", auth=auth, json=BODY, headers=headers)

    assert response.status_code == 403


def test_another_sites_form_cannot_submit_a_job(lab: Lab) -> None:
    response = lab.send("POST", "/evaluate", Role.SUBMITTER, content=b"{}", headers=FORM)

    assert response.status_code == 415


def test_no_other_origin_is_allowed_by_cors(lab: Lab) -> None:
    for method in ("GET", "OPTIONS"):
        response = lab.send(
            method, "/jobs", Role.ADMIN,
            headers={"Origin": "http://evil.example", "Access-Control-Request-Method": "GET"},
        )  # fmt: skip
        assert not [name for name in response.headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize("path", ["/health", "/jobs", "/nothing", "/login", "/docs", "/metrics"])
@pytest.mark.parametrize("role", [None, Role.ADMIN])
def test_every_response_has_security_headers(lab: Lab, path: str, role: Role | None) -> None:
    headers = lab.send("GET", path, role).headers

    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert {"private", "no-store", "no-cache"} & {headers["Cache-Control"]}


@pytest.mark.parametrize(
    "malformed",
    [
        b"NONSENSE\r\n\r\n",
        b"GET / HTTP/1.1\r\nNo Header\r\n\r\n",
        b"GET /<script> HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"<script>" * 4096 + b"\r\n\r\n",
    ],
)
def test_the_response_to_a_malformed_request_has_security_headers_too(
    lab: Lab, malformed: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", lab.server.port)) as connection:
        connection.settimeout(WAIT_SECONDS)
        connection.sendall(malformed)
        with connection.makefile("rb") as response:
            text = response.read().decode()

    assert text.startswith("HTTP/1.0 400 Bad Request\r\n")
    assert "X-Content-Type-Options: nosniff" in text
    assert "frame-ancestors 'none'" in text
    assert "Content-Type: application/problem+json" in text
    assert "aiohttp" not in text


def test_the_cookie_is_protected_from_scripts_and_other_sites(lab: Lab) -> None:
    response = lab.client.post(f"{lab.server.url}/login", data={"token": lab.tokens[Role.VIEWER]})
    lab.client.cookies.clear()

    cookie = response.headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    assert lab.tokens[Role.VIEWER] not in cookie


def test_a_session_ends_with_the_logout(lab: Lab) -> None:
    browser = lab.log_in(Role.VIEWER)
    cookies = dict(browser.cookies)
    assert browser.get("/queue").status_code == 200

    browser.post("/logout", headers={"Origin": lab.server.url})

    assert httpx.get(f"{lab.server.url}/queue", cookies=cookies).status_code == 401


def test_a_session_ends_when_its_token_is_revoked(lab: Lab) -> None:
    lab.tokens[Role.ANYONE] = lab.make_token("browsing", Role.VIEWER)
    browser = lab.log_in(Role.ANYONE)
    assert browser.get("/queue").status_code == 200

    lab.command("revoke", "browsing")

    assert browser.get("/queue").status_code == 401


def test_the_database_stores_only_a_hash_of_a_session(lab: Lab) -> None:
    browser = lab.log_in(Role.VIEWER)
    [session] = browser.cookies.values()
    uri = f"file:{lab.data_dir / 'evalserver.db'}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        stored = str(connection.execute("SELECT * FROM login_sessions").fetchall())

    assert session not in stored


def test_session_fixation_is_prevented(lab: Lab) -> None:
    name = f"evalserver_{lab.server.port}"
    with httpx.Client(base_url=lab.server.url, cookies={name: "chosen"}) as browser:
        response = browser.post("/login", data={"token": lab.tokens[Role.VIEWER]}, headers={
            "Origin": lab.server.url})  # fmt: skip

    assert "chosen" not in response.headers["Set-Cookie"]


@pytest.mark.parametrize(
    "next_path",
    [
        "//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)",
        "/a\r\nSet-Cookie: x=y", "\t//evil.example", "/\t/evil.example", "evil.example",
    ],
)  # fmt: skip
def test_a_login_redirects_to_no_other_site(lab: Lab, next_path: str) -> None:
    form = {"token": lab.tokens[Role.VIEWER], "next": next_path}

    response = lab.client.post(f"{lab.server.url}/login", data=form)
    lab.client.cookies.clear()

    location = response.headers["Location"]
    assert re.fullmatch(r"/(?![/\\])[^\r\n\t]*", location)
    assert "evil" not in location


def test_the_login_page_escapes_submitted_text(lab: Lab) -> None:
    script = '"><script>alert(1)</script>'

    shown = lab.client.get(f"{lab.server.url}/login", params={"next": script}).text
    rejected = lab.client.post(f"{lab.server.url}/login", data={"token": script, "next": script})

    assert "<script>alert" not in shown + rejected.text
    assert rejected.status_code == 401


def test_a_page_without_a_session_redirects_to_the_login_and_back(lab: Lab) -> None:
    response = lab.send("GET", "/docs?a=b", headers={"Accept": "text/html"})

    assert response.status_code == 303
    location = urlsplit(response.headers["Location"])
    assert (location.path, parse_qs(location.query)) == ("/login", {"next": ["/docs?a=b"]})
