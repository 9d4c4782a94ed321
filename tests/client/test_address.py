"""The clients' server address and token."""

import base64
from pathlib import Path
from typing import Any

import pytest

from evalserver.client import AsyncEvalClient, EvalClient
from evalserver.client.address import address
from tests.client.both import call
from tests.client.conftest import MakeClient
from tests.client.faulty import FaultyServer, Reply


@pytest.mark.parametrize(
    ("given", "environment", "expected"),
    [
        (None, {}, "http://localhost:8000"),
        (None, {"EVALSERVER_URL": "http://gpu-7:9000"}, "http://gpu-7:9000"),
        ("http://here:1", {"EVALSERVER_URL": "http://gpu-7:9000"}, "http://here:1"),
        ("http://here:1/", {}, "http://here:1"),
        ("https://lab.example/evals/", {}, "https://lab.example/evals"),
        (" http://here:1\n", {}, "http://here:1"),
    ],
)
def test_an_argument_overrides_the_environment(
    given: str | None, environment: dict[str, str], expected: str
) -> None:
    assert address(given, None, environment).url == expected


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8000",
        "here",
        "ftp://x",
        "http://",
        "http://x:port",
        "http://x:99999",
        "http://x/?a=1",
        "http://x/#docs",
    ],
)
def test_an_invalid_url_is_rejected_immediately(url: str) -> None:
    with pytest.raises(ValueError, match="base_url"):
        EvalClient(url)


@pytest.mark.parametrize(
    ("url", "token", "environment", "sent"),
    [
        ("http://here", None, {}, None),
        ("http://here", "t1", {"EVALSERVER_TOKEN": "t2"}, "Bearer t1"),
        ("http://here", None, {"EVALSERVER_TOKEN": "t2"}, "Bearer t2"),
        ("http://here", "", {"EVALSERVER_TOKEN": "t2"}, None),
        ("http://x:t3@here", None, {"EVALSERVER_TOKEN": "t2"}, "Basic x:t3"),
        ("http://x:t3@here", "t1", {}, "Bearer t1"),
        ("http://x:a%2Fb@here", None, {}, "Basic x:a/b"),
        ("http://here", "t1\n", {}, "Bearer t1"),
        ("http://here", None, {"EVALSERVER_TOKEN": " t2\r\n"}, "Bearer t2"),
    ],
)
def test_a_token_is_sent_and_removed_from_the_url(
    url: str, token: str | None, environment: dict[str, str], sent: str | None
) -> None:
    found = address(url, token, environment)

    assert _decode(found.authorization) == sent
    assert found.url == "http://here"


@pytest.mark.parametrize("token", ["s3crét", "s3c\nret", "s3c\0ret"])
def test_an_invalid_token_is_rejected_immediately_and_not_shown(token: str) -> None:
    with pytest.raises(ValueError, match=r"^token: ") as raised:
        EvalClient("http://here", token=token)

    assert "s3c" not in str(raised.value)


async def test_the_server_receives_the_token(make_client: MakeClient, faulty: FaultyServer) -> None:
    faulty.set_replies("/queue", Reply({}))

    await call(make_client(faulty.url, token="t1"), "get_queue_status")  # noqa: S106

    assert faulty.received[0].headers["Authorization"] == "Bearer t1"


@pytest.mark.parametrize("kind", [EvalClient, AsyncEvalClient])
async def test_the_environment_sets_the_address_and_the_token(
    kind: Any, monkeypatch: pytest.MonkeyPatch, faulty: FaultyServer
) -> None:
    faulty.set_replies("/queue", Reply({}))
    monkeypatch.setenv("EVALSERVER_URL", faulty.url)
    monkeypatch.setenv("EVALSERVER_TOKEN", "t2")
    client = kind()

    await call(client, "get_queue_status")
    await call(client, "close")

    assert faulty.received[0].headers["Authorization"] == "Bearer t2"


def test_the_repr_of_a_client_has_no_token() -> None:
    with EvalClient("http://x:s3cret@here:1") as client:
        assert repr(client) == "EvalClient('http://here:1')"


def _decode(authorization: str | None) -> str | None:
    if authorization is None or not authorization.startswith("Basic "):
        return authorization
    return f"Basic {base64.b64decode(authorization.removeprefix('Basic ')).decode()}"


@pytest.mark.parametrize("kind", [EvalClient, AsyncEvalClient])
def test_an_unreadable_ca_file_is_named(
    kind: type[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    no_certificate = tmp_path / "text.pem"
    no_certificate.write_text("none")

    for path in (tmp_path / "gone.pem", no_certificate):
        monkeypatch.setenv("SSL_CERT_FILE", str(path))
        with pytest.raises(ValueError, match=rf"^SSL_CERT_FILE: .*{path.name}"):
            kind("https://here")
    EvalClient("http://here").close()
