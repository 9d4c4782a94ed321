"""``evalserver webhook`` on a real server, with a real receiver."""

import json
from pathlib import Path

from tests.cli.commands import run_evalserver
from tests.followers.receivers import receiving
from tests.support import ServerProcess


async def test_a_webhook_from_creation_to_deletion(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data", "--webhook-allow-network", "127.0.0.1")
    url = {"EVALSERVER_URL": server.url}

    def run(*words: str, code: int = 0) -> str:
        ended = run_evalserver("webhook", *words, environment=url)
        assert ended.returncode == code, ended.stderr
        return ended.stdout + ended.stderr

    with receiving(tmp_path) as receiver:
        async with server:
            assert run("list", "--json") == "[]\n"
            made = json.loads(run("create", receiver.url, "--event", "job.failed", "--json"))
            short = made["webhook_id"][:8]
            assert short in run("list")
            assert "whsec_" not in run("list", "--json") + run("show", short, "--json")
            assert "Delivered: status 204" in run("test", short)
            receiver.answer(500)
            assert "not delivered: status 500" in run("test", short, code=1)
            assert "whsec_" in run("rotate", short)
            assert "0 messages are sent again" in run("resend", short)
            assert "0 messages are discarded" in run("discard", short)
            assert "was not disabled" in run("enable", short)
            assert "was deleted" in run("delete", short)
            assert "There is no webhook" in run("show", short, code=2)


async def test_a_label_needs_a_name_and_a_text() -> None:
    ended = run_evalserver("webhook", "create", "https://a.example/", "--label", "team")

    assert ended.returncode == 2
    assert "'team' is not NAME=TEXT" in ended.stderr
