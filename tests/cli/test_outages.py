"""A server that is killed, stopped or slow while somebody waits, follows or asks."""

import signal
import subprocess

from evalserver.cli.exit_codes import ExitCode
from tests.cli.shell import Shell
from tests.cli.terminal import Terminal
from tests.support import ServerProcess


async def test_a_restart_goes_unnoticed_by_who_waits(server: ServerProcess) -> None:
    async with server:
        job = Shell(server.url).submit("-a", "seconds=3")
        waiting = Shell(server.url).start("wait", job)
        await server.api.under_way(job)
        server.kill()
        await server.start()
        output, _ = waiting.communicate()

    assert (waiting.returncode, "0.5000" in output) == (ExitCode.DONE, True)


async def test_a_terminal_shows_that_the_server_is_away_and_goes_on(server: ServerProcess) -> None:
    async with server:
        job = Shell(server.url).submit("-a", "seconds=3")
        with Terminal("wait", job, environment={"EVALSERVER_URL": server.url}) as terminal:
            terminal.until("starting")
            server.kill()
            terminal.until("trying again")
            await server.start()
            code = terminal.end()

    assert code == ExitCode.DONE


async def test_who_waits_for_a_server_that_stays_away_is_told_how_to_come_back(
    server: ServerProcess,
) -> None:
    async with server:
        job = Shell(server.url).submit("-a", "behave=hang")
        waiting = Shell(server.url).start("wait", job, "--retry-for", "1")
        await server.api.when(job, "running")
        await told(waiting)
        server.kill()
        _, errors = waiting.communicate()
        await server.start()

    assert waiting.returncode == ExitCode.UNREACHABLE
    assert f"evalserver wait {job}" in errors.splitlines()[-1]


async def test_a_log_is_followed_across_a_restart_without_a_gap(server: ServerProcess) -> None:
    async with server:
        job = Shell(server.url).submit("-a", "behave=count,lines=300,pause=0.01")
        with Shell(server.url).start("logs", "-f", job) as following:
            assert following.stdout is not None
            first = following.stdout.readline()
            server.kill()
            await server.start()
            rest = following.stdout.read()

    lines = [line for line in (first + rest).splitlines() if line.startswith("line ")]
    assert lines == [f"line {number}" for number in range(300)]


async def test_a_server_that_hangs_is_left_with_ctrl_c(server: ServerProcess) -> None:
    async with server:
        job = Shell(server.url).submit("-a", "behave=hang")
        with Terminal("wait", job, environment={"EVALSERVER_URL": server.url}) as terminal:
            terminal.until("starting")
            server.process.send_signal(signal.SIGSTOP)
            terminal.press_ctrl_c()
            code = terminal.end()
            server.process.send_signal(signal.SIGCONT)

    assert code == ExitCode.INTERRUPTED
    assert "Detached" in terminal.screen()


async def told(waiting: subprocess.Popen[str]) -> None:
    """Once the command has said what it waits for."""
    assert waiting.stderr is not None
    waiting.stderr.readline()
