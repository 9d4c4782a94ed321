"""A server that is killed, stopped or slow while commands wait, follow or query."""

import signal
import subprocess

from evalserver.cli.exit_codes import ExitCode
from tests.cli.shell import Shell
from tests.cli.terminal import Terminal
from tests.support import ServerProcess


async def test_a_restart_does_not_disturb_a_waiting_command(server: ServerProcess) -> None:
    async with server:
        job = Shell(server.url).submit("-a", "seconds=15")
        waiting = Shell(server.url).start("wait", job, "--retry-for", "300")
        await server.api.wait_for_harness(job)
        server.kill()
        await server.start()
        output, _ = waiting.communicate()

    assert (waiting.returncode, "0.5000" in output) == (ExitCode.DONE, True)


async def test_a_terminal_shows_an_outage_and_continues_afterwards(server: ServerProcess) -> None:
    async with server:
        job = Shell(server.url).submit("-a", "seconds=15")
        with Terminal("wait", job, environment={"EVALSERVER_URL": server.url}) as terminal:
            terminal.until("starting")
            server.kill()
            terminal.until("trying again")
            await server.start()
            code = terminal.end()

    assert code == ExitCode.DONE


async def test_a_wait_that_gives_up_says_how_to_continue(
    server: ServerProcess,
) -> None:
    async with server:
        job = Shell(server.url).submit("-a", "behave=hang")
        waiting = Shell(server.url).start("wait", job, "--retry-for", "1")
        await server.api.when(job, "running")
        await wait_for_hint(waiting)
        server.kill()
        _, errors = waiting.communicate()
        await server.start()

    assert waiting.returncode == ExitCode.UNREACHABLE
    assert f"evalserver wait {job}" in errors.splitlines()[-1]


async def test_a_log_is_followed_across_a_restart_without_gaps(server: ServerProcess) -> None:
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


async def test_ctrl_c_ends_a_command_whose_server_hangs(server: ServerProcess) -> None:
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


async def wait_for_hint(waiting: subprocess.Popen[str]) -> None:
    """Wait until the command has printed what it waits for."""
    assert waiting.stderr is not None
    waiting.stderr.readline()
