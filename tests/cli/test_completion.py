"""What the shell offers when TAB is pressed."""

import asyncio
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.shell import Shell, script_environment
from tests.client.faulty import dark_port
from tests.support import ServerProcess, free_port

Complete = Callable[..., list[str]]


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with the command ``evalserver``, as an installation makes it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "evalserver"
    program.write_text(f"#!{sys.executable}\nfrom evalserver.cli.main import main\nmain()\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return folder


@pytest.fixture
def complete(programs: Path) -> Complete:
    """What a real bash offers behind the words of a command, and what is said meanwhile."""

    def offered(url: str, *words: str) -> list[str]:
        line = " ".join(f"'{word}'" for word in ("evalserver", *words))
        script = (
            'eval "$(evalserver completion bash)"\n'
            f"COMP_WORDS=({line}); COMP_CWORD={len(words)}\n"
            '_evalserver_completion evalserver\nprintf "%s\\n" "${COMPREPLY[@]}"'
        )
        done = subprocess.run(
            ["bash", "--norc", "-c", script],
            env={**script_environment(url), "PATH": f"{programs}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
        )
        assert done.stderr == ""
        return done.stdout.split()

    return offered


def nobody() -> str:
    """Where no server is."""
    return f"http://127.0.0.1:{free_port()}"


def test_commands_are_completed(complete: Complete) -> None:
    assert complete(nobody(), "s") == ["submit", "status", "samples", "serve"]


def test_options_are_completed(complete: Complete) -> None:
    assert complete(nobody(), "submit", "--num") == ["--num-fewshot", "--num-gpus"]


async def test_ids_of_jobs_are_completed(server: ServerProcess, complete: Complete) -> None:
    async with server:
        jobs = [Shell(server.url).submit() for _ in range(2)]

        assert complete(server.url, "status", jobs[0][:8]) == jobs[::-1]


async def test_an_id_that_was_begun_is_completed(server: ServerProcess, complete: Complete) -> None:
    async with server:
        jobs = [Shell(server.url).submit() for _ in range(2)]

        assert complete(server.url, "logs", "-f", jobs[1][:30]) == [jobs[1]]


async def test_names_of_tasks_are_completed(server: ServerProcess, complete: Complete) -> None:
    async with server:
        Shell(server.url).says("tasks")

        assert complete(server.url, "submit", "-t", "m") == ["mme"]


async def test_a_task_behind_a_comma_is_completed(
    server: ServerProcess, complete: Complete
) -> None:
    async with server:
        Shell(server.url).says("tasks")

        assert complete(server.url, "submit", "-t", "mme,ai") == ["mme,ai2d"]


async def test_names_of_models_are_completed(server: ServerProcess, complete: Complete) -> None:
    async with server:
        Shell(server.url).says("models")

        assert complete(server.url, "submit", "-m", "d") == ["dummy"]


async def test_the_server_is_the_one_that_the_line_names(
    server: ServerProcess, complete: Complete
) -> None:
    async with server:
        job = Shell(server.url).submit()

        assert complete(nobody(), "status", "--url", server.url, job[:8]) == [job]


@pytest.mark.parametrize("words", [["status", "0"], ["submit", "-t", "m"], ["submit", "-m", "d"]])
def test_without_a_server_nothing_is_offered_and_nothing_is_said(
    complete: Complete, words: list[str]
) -> None:
    assert complete(nobody(), *words) == []


def test_with_an_address_that_is_none_nothing_is_offered(complete: Complete) -> None:
    assert complete("nonsense", "status", "0") == []


async def test_a_server_that_is_silent_keeps_nobody_waiting(complete: Complete) -> None:
    async with dark_port() as url, asyncio.timeout(30):
        assert await asyncio.to_thread(complete, url, "status", "0") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script(shell: str) -> None:
    assert f"_EVALSERVER_COMPLETE={shell}_require_complete" in Shell().says("completion", shell)


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_a_script_is_one_that_its_shell_can_read(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed, so its script was NOT TESTED")

    done = subprocess.run([shell, "-n"], input=Shell().says("completion", shell), text=True)

    assert done.returncode == 0


def test_the_shell_is_guessed() -> None:
    assert "zsh_complete" in Shell(SHELL="/usr/bin/zsh").says("completion")


async def test_a_shell_that_shows_more_is_told_what_a_job_is(
    server: ServerProcess, programs: Path
) -> None:
    async with server:
        job = Shell(server.url).ended()
        asked = {"COMP_WORDS": "evalserver status ", "COMP_CWORD": "2"}
        environment = script_environment(server.url) | asked

        done = await asyncio.to_thread(
            subprocess.run,
            [programs / "evalserver"],
            env={**environment, "_EVALSERVER_COMPLETE": "zsh_complete"},
            capture_output=True,
            text=True,
        )

    assert done.stdout.split("\n") == ["plain", job, "completed dummy mme", ""]
