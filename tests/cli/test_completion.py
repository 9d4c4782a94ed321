"""Shell completion of commands, options and values."""

import asyncio
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from evalserver.core.job_id import short_job_id
from tests.cli.shell import Shell, script_environment
from tests.client.faulty import unresponsive_port
from tests.support import ServerProcess, free_port

Complete = Callable[..., list[str]]


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with the command ``evalserver``, as an installation creates it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "evalserver"
    program.write_text(f"#!{sys.executable}\nfrom evalserver.cli.main import main\nmain()\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return folder


@pytest.fixture
def complete(programs: Path) -> Complete:
    """Return what a real bash completes after the words of a command, and what it prints."""

    def completions(url: str, *words: str) -> list[str]:
        line = " ".join(f"'{word}'" for word in ("evalserver", *words))
        script = (
            'eval "$(evalserver completion bash)"\n'
            f"COMP_WORDS=({line}); COMP_CWORD={len(words)}\n"
            '_evalserver_completion evalserver\nprintf "%s\\n" "${COMPREPLY[@]}"'
        )
        result = subprocess.run(
            ["bash", "--norc", "-c", script],
            env={**script_environment(url), "PATH": f"{programs}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
        )
        assert result.stderr == ""
        return result.stdout.split()

    return completions


def unused_url() -> str:
    """A URL without a server."""
    return f"http://127.0.0.1:{free_port()}"


def test_commands_are_completed(complete: Complete) -> None:
    assert complete(unused_url(), "s") == ["submit", "status", "samples", "serve"]


def test_options_are_completed(complete: Complete) -> None:
    assert complete(unused_url(), "submit", "--num") == [
        "--num-fewshot",
        "--num-gpus",
        "--num-processes",
    ]


async def test_job_ids_are_completed(server: ServerProcess, complete: Complete) -> None:
    async with server:
        jobs = [Shell(server.url).submit() for _ in range(2)]

        assert complete(server.url, "status", jobs[0][:4]) == jobs[::-1]


async def test_the_short_form_of_an_id_is_completed(
    server: ServerProcess, complete: Complete
) -> None:
    async with server:
        short = [short_job_id(Shell(server.url).submit()) for _ in range(2)]

        assert complete(server.url, "status", "") == short[::-1]


async def test_an_id_prefix_is_completed(server: ServerProcess, complete: Complete) -> None:
    async with server:
        jobs = [Shell(server.url).submit() for _ in range(2)]

        assert complete(server.url, "logs", "-f", jobs[1][:30]) == [jobs[1]]


async def test_task_names_are_completed(server: ServerProcess, complete: Complete) -> None:
    async with server:
        Shell(server.url).stdout_of("tasks")

        assert complete(server.url, "submit", "-t", "m") == ["mme"]


async def test_a_task_after_a_comma_is_completed(server: ServerProcess, complete: Complete) -> None:
    async with server:
        Shell(server.url).stdout_of("tasks")

        assert complete(server.url, "submit", "-t", "mme,ai") == ["mme,ai2d"]


async def test_model_names_are_completed(server: ServerProcess, complete: Complete) -> None:
    async with server:
        Shell(server.url).stdout_of("models")

        assert complete(server.url, "submit", "-m", "d") == ["dummy"]


async def test_the_server_of_the_command_line_is_used(
    server: ServerProcess, complete: Complete
) -> None:
    async with server:
        job = Shell(server.url).submit()

        assert complete(unused_url(), "status", "--url", server.url, job[:8]) == [job]


@pytest.mark.parametrize("words", [["status", "0"], ["submit", "-t", "m"], ["submit", "-m", "d"]])
def test_without_a_server_nothing_is_completed_or_printed(
    complete: Complete, words: list[str]
) -> None:
    assert complete(unused_url(), *words) == []


def test_with_an_invalid_address_nothing_is_completed(complete: Complete) -> None:
    assert complete("nonsense", "status", "0") == []


async def test_completion_does_not_wait_for_an_unresponsive_server(complete: Complete) -> None:
    async with unresponsive_port() as url, asyncio.timeout(30):
        assert await asyncio.to_thread(complete, url, "status", "0") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script(shell: str) -> None:
    assert f"_EVALSERVER_COMPLETE={shell}_complete" in Shell().stdout_of("completion", shell)


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_each_script_is_valid_in_its_shell(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed, so its script was NOT TESTED")

    result = subprocess.run([shell, "-n"], input=Shell().stdout_of("completion", shell), text=True)

    assert result.returncode == 0


def test_the_shell_is_detected() -> None:
    assert "zsh_complete" in Shell(SHELL="/usr/bin/zsh").stdout_of("completion")


async def test_shells_that_show_descriptions_get_a_description_of_each_job(
    server: ServerProcess, programs: Path
) -> None:
    async with server:
        job = Shell(server.url).submit_and_wait()
        completion_request = {"COMP_WORDS": "evalserver status ", "COMP_CWORD": "2"}
        environment = script_environment(server.url) | completion_request

        result = await asyncio.to_thread(
            subprocess.run,
            [programs / "evalserver"],
            env={**environment, "_EVALSERVER_COMPLETE": "zsh_complete"},
            capture_output=True,
            text=True,
        )

    assert result.stdout.split("\n") == ["plain", short_job_id(job), "completed dummy mme", ""]
