"""``evalserver webhook`` on a real server, with a real receiver."""

import json
from pathlib import Path

from tests.cli.commands import run_evalserver
from tests.followers.receivers import receiving
from tests.support import ServerProcess, until


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


async def test_a_message_that_waits_for_an_earlier_one_names_it(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data", "--webhook-allow-network", "127.0.0.1")
    url = {"EVALSERVER_URL": server.url}
    with receiving(tmp_path) as receiver:
        receiver.answer(500)
        async with server:
            hook = await server.api.call("POST", "/webhooks", json={"url": receiver.url})
            await server.api.finished(await server.api.submit())
            path = f"/webhooks/{hook['webhook_id']}"

            async def both_wait() -> bool:
                return bool((await server.api.call("GET", path))["undelivered"] == 2)

            await until(both_wait)
            words = ("webhook", "show", hook["webhook_id"][:8])
            *_, first, second = run_evalserver(*words, environment=url).stdout.splitlines()

    earlier = first.split()[0]
    assert hook["webhook_id"].startswith(earlier.split("_")[-1])
    assert f"after {earlier}" in second


async def test_a_label_needs_a_name_and_a_text() -> None:
    ended = run_evalserver("webhook", "create", "https://a.example/", "--label", "team")

    assert ended.returncode == 2
    assert "'team' is not NAME=TEXT" in ended.stderr
