"""Exit codes, each with a command that returns it; ``docs/cli.md`` has the table."""

import asyncio
import re
import subprocess
from pathlib import Path

import pytest

from evalserver.cli import main as command_line
from evalserver.cli.exit_codes import ExitCode
from tests.cli.shell import Shell
from tests.client.faulty import FaultyServer, Reply, busy, problem
from tests.support import ServerProcess, free_port

HANG = ("-a", "behave=hang")

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()


def last_line(result: subprocess.CompletedProcess[str]) -> str:
    """Return the last line that a command printed to stderr."""
    return result.stderr.splitlines()[-1]


async def test_0_a_job_is_completed(server: ServerProcess) -> None:
    async with server:
        result = Shell(server.url).run("submit", "-m", "dummy", "-t", "mme", "--wait")

    assert result.returncode == ExitCode.DONE


async def test_1_a_job_failed(server: ServerProcess) -> None:
    async with server:
        result = Shell(server.url).run(
            "submit", "-m", "dummy", "-t", "mme", "-a", "behave=crash", "-w"
        )

    assert result.returncode == ExitCode.JOB_FAILED


async def test_1_one_of_several_jobs_failed(server: ServerProcess) -> None:
    async with server:
        shell = Shell(server.url)
        jobs = [shell.submit(), shell.submit("-a", "behave=crash"), shell.submit()]

        result = shell.run("wait", *jobs)

    assert result.returncode == ExitCode.JOB_FAILED


async def test_1_one_job_failed_and_another_was_cancelled(server: ServerProcess) -> None:
    async with server:
        shell = Shell(server.url)
        failed, cancelled = shell.submit_and_wait("-a", "behave=crash"), shell.submit(*HANG)
        shell.stdout_of("cancel", cancelled)

        result = shell.run("wait", cancelled, failed)

    assert result.returncode == ExitCode.JOB_FAILED


@pytest.mark.parametrize(
    "arguments",
    [
        ["sumbit"],
        ["jobs", "--limt", "3"],
        ["jobs", "--limit", "0"],
        ["jobs", "--url", "nonsense"],
        ["jobs", "--url", "ftp://host"],
        ["jobs", "--token", "é"],
        ["jobs", "--url", "http://host/?a=1"],
        ["submit", "-m", "dummy", "-t", "mme", "--idempotency-key", "é"],
        ["submit", "-m", "dummy", "-t", "mme", "--idempotency-key", "a\nb"],
        ["status"],
        ["submit", "-t", "mme"],
        ["submit", "-m", "dummy"],
        ["submit", "-m", "dummy", "-t", "mme", "--limit", "many"],
        ["submit", "-m", "dummy", "-t", "mme", "--limit", "nan"],
        ["submit", "-m", "dummy", "-t", "mme", "-a", "x"],
        ["submit", "-m", "dummy", "-t", "mme", "-a", '{"x": NaN}'],
        ["submit", "-m", "dummy", "-t", "mme", "-l", "x"],
        ["submit", "-m", "dummy", "-t", "mme", "-l", "a=1", "-l", "a=2"],
        ["submit", "-m", "dummy", "-t", "mme", "--timeout", "soon"],
        ["submit", "-m", b"d\xff".decode(errors="surrogateescape"), "-t", "mme"],
        ["submit", "--config", "/no/such/file"],
        ["completion", "tcsh"],
    ],
)
def test_2_the_command_line_is_invalid(arguments: list[str]) -> None:
    result = Shell(f"http://127.0.0.1:{free_port()}").run(*arguments)

    assert (result.returncode, result.stdout) == (ExitCode.USAGE, "")
    assert last_line(result).startswith("Error: ")


def test_2_the_ca_file_is_missing() -> None:
    result = Shell("https://127.0.0.1:1", SSL_CERT_FILE="/no/such/file").run("health")

    assert result.returncode == ExitCode.USAGE
    assert last_line(result).startswith("Error: SSL_CERT_FILE: ")


async def test_2_the_server_rejects_the_request(server: ServerProcess) -> None:
    async with server:
        result = Shell(server.url).run("submit", "-m", "dummy", "-t", "/etc/passwd")

    assert result.returncode == ExitCode.USAGE
    assert last_line(result) == "  tasks.0: Must be the name of a registered task, not a path."


async def test_2_the_job_does_not_exist(server: ServerProcess) -> None:
    async with server:
        result = Shell(server.url).run("wait", "00000000-0000-0000-0000-000000000000")

    assert result.returncode == ExitCode.USAGE


async def test_2_the_token_is_invalid(faulty: FaultyServer) -> None:
    unauthorized = problem(401, "The token is not known", type="about:blank", title="Unauthorized")
    faulty.set_replies("/jobs", unauthorized)

    result = await run(faulty, "jobs", "--token", "nobody")

    assert result.returncode == ExitCode.USAGE
    assert "EVALSERVER_TOKEN" in last_line(result)


async def test_2_the_output_cannot_be_written(server: ServerProcess) -> None:
    async with server:
        result = Shell(server.url).run_with(">/dev/full", "health")

    assert result.returncode == ExitCode.USAGE
    assert result.stderr == "Error: the output cannot be written: No space left on device\n"


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-"])
async def test_0_a_standard_stream_is_closed(server: ServerProcess, closed: str) -> None:
    async with server:
        result = Shell(server.url).run_with(closed, "queue")

    assert (result.returncode, result.stderr) == (ExitCode.DONE, "")


@pytest.mark.parametrize(
    "command", ["jobs", "queue", "health", "status 0000", "wait 0000", "logs -f 0000"]
)
def test_3_the_server_is_unreachable(command: str) -> None:
    url = f"http://127.0.0.1:{free_port()}"

    result = Shell(url).run(*command.split(), "--retry-for", 0)

    assert (result.returncode, result.stdout) == (ExitCode.UNREACHABLE, "")
    assert last_line(result).startswith(f"Error: {url} does not answer")
    assert last_line(result).endswith("is it running, and is --url (EVALSERVER_URL) right?")


async def test_a_token_in_the_url_overrides_the_one_in_the_environment(
    faulty: FaultyServer,
) -> None:
    faulty.set_replies("/jobs", Reply({"jobs": [], "next": None}))
    shell = Shell(faulty.url.replace("://", "://x:t1@"), EVALSERVER_TOKEN="t2")  # noqa: S106

    await asyncio.to_thread(shell.run, "jobs")

    assert faulty.received[0].headers["Authorization"].startswith("Basic ")


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["jobs", "--help"]])
def test_141_the_pipe_for_the_help_is_closed(words: list[str]) -> None:
    result = Shell().run_unread(*words)

    assert (result.returncode, result.stderr) == (ExitCode.PIPE_CLOSED, "")


@pytest.mark.parametrize("command", ["--help", "jobs --help"])
def test_2_the_help_cannot_be_written(command: str) -> None:
    result = Shell().run_with(">/dev/full", command)

    assert result.returncode == ExitCode.USAGE
    assert last_line(result).startswith("Error: the output cannot be written")


@pytest.mark.parametrize(
    "command",
    ["token list", "token revoke nobody", "audit verify", "db check", "db info"],
)
def test_debug_is_an_option_of_every_command(command: str, tmp_path: Path) -> None:
    result = Shell().run(*command.split(), "--debug", "--data-dir", tmp_path / "none")

    assert result.returncode == ExitCode.JOB_FAILED
    assert "Traceback" in result.stderr


async def test_3_the_server_is_temporarily_unavailable(faulty: FaultyServer) -> None:
    faulty.set_replies("/jobs", busy())

    result = await run(faulty, "jobs", "--retry-for", "0")

    assert result.returncode == ExitCode.UNREACHABLE


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_3_the_server_asks_to_retry_later(faulty: FaultyServer, status: int) -> None:
    later = problem(status, "Come back later", type="about:blank", title="Not now")
    faulty.set_replies("/jobs", later)

    result = await run(faulty, "jobs", "--retry-for", "0")

    assert (result.returncode, last_line(result)) == (
        ExitCode.UNREACHABLE,
        "Error: Come back later",
    )


@pytest.mark.parametrize(
    "answer",
    [
        Reply(text="<html>hello</html>", content_type="text/html"),
        Reply(text="<html>not here</html>", content_type="text/html", status=404),
        Reply({"detail": "Not Found"}, 404),
    ],
)
async def test_3_the_server_is_not_an_evalserver(faulty: FaultyServer, answer: Reply) -> None:
    faulty.set_replies("/jobs", answer)

    result = await run(faulty, "jobs")

    assert result.returncode == ExitCode.UNREACHABLE
    assert "is this an evalserver?" in last_line(result)


async def test_4_a_job_was_cancelled(server: ServerProcess) -> None:
    async with server:
        shell = Shell(server.url)
        job = shell.submit(*HANG)
        shell.stdout_of("cancel", job)

        result = shell.run("wait", job)

    assert result.returncode == ExitCode.CANCELLED


async def test_70_evalserver_has_a_bug(faulty: FaultyServer) -> None:
    faulty.set_replies("/queue", Reply({"nothing": "that is needed"}))

    result = await run(faulty, "queue")

    assert result.returncode == ExitCode.FAULT
    assert "KeyError" in result.stderr
    assert result.stderr.count("\n") == 1


async def test_124_the_wait_timed_out(server: ServerProcess) -> None:
    async with server:
        shell = Shell(server.url)
        job = shell.submit(*HANG)

        result = shell.run("wait", job, "--timeout", "0.5")
        status = shell.json("status", job)["status"]

    assert (result.returncode, status) == (ExitCode.TIMED_OUT, "running")
    assert last_line(result).endswith(f"wait again with: evalserver wait {job}")


@pytest.mark.parametrize("command", ["jobs", "jobs --json", "logs {job}", "results {job}", "tasks"])
async def test_141_the_pipe_for_the_output_is_closed(server: ServerProcess, command: str) -> None:
    async with server:
        job = Shell(server.url).submit_and_wait()
        result = Shell(server.url).run_unread(*command.format(job=job).split())

    assert (result.returncode, result.stderr) == (ExitCode.PIPE_CLOSED, "")


@pytest.mark.parametrize("code", ExitCode)
def test_each_exit_code_is_documented(code: ExitCode) -> None:
    assert re.search(rf"^\| {code.value} \| ", PAGE, re.MULTILINE)


def test_debug_shows_the_traceback_of_an_error() -> None:
    result = Shell().run(
        "jobs", "--url", f"http://127.0.0.1:{free_port()}", "--retry-for=0", "--debug"
    )

    assert "Traceback (most recent call last):" in result.stderr
    assert last_line(result).startswith("Error: ")


def test_without_debug_an_error_is_one_line() -> None:
    unused_url = f"http://127.0.0.1:{free_port()}"

    result = Shell(unused_url).run("jobs", "--retry-for=0")

    assert result.stderr.count("\n") == 1


def test_every_name_in_the_command_table_is_a_command() -> None:
    context = command_line.main.make_context("evalserver", [], resilient_parsing=True)
    names = command_line.main.list_commands(context)

    assert [command_line.main.get_command(context, name).name for name in names] == names  # type: ignore[union-attr]


async def run(server: FaultyServer, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command while this process serves requests."""
    return await asyncio.to_thread(Shell(server.url).run, *arguments)
