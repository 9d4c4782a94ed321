"""Ctrl-C at any time: what keeps running, what is cancelled, what is printed."""

import signal
from pathlib import Path

from evalserver.cli.exit_codes import ExitCode
from tests.cli.shell import Shell
from tests.cli.terminal import Terminal
from tests.support import ServerProcess, harness_of, until

HANG = ("-m", "dummy", "-t", "mme", "-a", "behave=hang")
STUBBORN = ("-m", "dummy", "-t", "mme", "-a", "behave=stubborn")


def terminal(server: ServerProcess, *arguments: object) -> Terminal:
    """Open a terminal with a command for this server."""
    return Terminal(*arguments, environment={"EVALSERVER_URL": server.url})


def test_a_command_that_is_still_loading_exits_silently(tmp_path: Path) -> None:
    # An early Ctrl-C interrupts an import.
    (tmp_path / "click.py").write_text("raise KeyboardInterrupt\n")

    result = Shell(PYTHONPATH=str(tmp_path)).run("jobs")

    assert (result.returncode, result.stdout, result.stderr) == (ExitCode.INTERRUPTED, "", "")


async def test_interrupting_a_wait_does_not_cancel_a_running_job(server: ServerProcess) -> None:
    async with server:
        with terminal(server, "submit", *HANG, "--wait") as screen:
            screen.until("starting")
            screen.press_ctrl_c()
            code = screen.end()
        [job] = Shell(server.url).json("jobs")

    assert (code, job["status"]) == (ExitCode.INTERRUPTED, "running")
    assert f"evalserver wait {job['job_id']}" in screen.screen()


async def test_interrupting_a_wait_does_not_cancel_a_queued_job(server: ServerProcess) -> None:
    async with server:
        shell = Shell(server.url)
        shell.submit("-a", "behave=hang")
        queued = shell.submit()
        with terminal(server, "wait", queued) as screen:
            screen.until("queued, 0 ahead")
            screen.press_ctrl_c()
            code = screen.end()
        status = shell.json("status", queued)["status"]

    assert (code, status) == (ExitCode.INTERRUPTED, "queued")


async def test_a_job_is_cancelled_on_interrupt_if_requested(server: ServerProcess) -> None:
    async with server:
        options = ("--wait", "--cancel-on-interrupt")
        with terminal(server, "submit", *HANG, *options) as screen:
            screen.until("starting")
            screen.press_ctrl_c()
            code = screen.end()
        [job] = Shell(server.url).json("jobs")

    assert (code, job["status"]) == (ExitCode.CANCELLED, "cancelled")


async def test_sigterm_from_a_scheduler_cancels_the_job(server: ServerProcess) -> None:
    async with server:
        with terminal(server, "submit", *HANG, "--wait", "--cancel-on-interrupt") as screen:
            screen.until("starting")
            screen.terminate()
            code = screen.end()
        [job] = Shell(server.url).json("jobs")

    assert (code, job["status"]) == (ExitCode.CANCELLED, "cancelled")


async def test_a_second_ctrl_c_does_not_wait_for_the_cancellation(tmp_path: Path) -> None:
    async with ServerProcess(tmp_path / "data", "--cancel-grace", "3") as server:
        with terminal(server, "submit", *STUBBORN, "--wait", "--cancel-on-interrupt") as screen:
            [job] = await wait_until_started(server)
            screen.until("starting")
            screen.press_ctrl_c()
            screen.until("Cancelling")
            await server.api.when(job, "running", "cancelled")
            screen.press_ctrl_c()
            code = screen.end()
        ended = await server.api.finished(job)

    assert (code, ended["status"]) == (ExitCode.INTERRUPTED, "cancelled")
    assert "Interrupted before all jobs had ended" in screen.screen()


async def test_an_interrupted_submission_says_how_to_avoid_a_duplicate(
    server: ServerProcess,
) -> None:
    async with server:
        server.process.send_signal(signal.SIGSTOP)
        with terminal(server, "submit", *HANG, "--idempotency-key", "mine") as screen:
            await until(lambda: _has_received(server.port))
            screen.press_ctrl_c()
            code = screen.end()
        server.process.send_signal(signal.SIGCONT)
        again = Shell(server.url).submit("-a", "behave=hang", "--idempotency-key", "mine")
        jobs = Shell(server.url).json("jobs")

    assert code == ExitCode.INTERRUPTED
    assert "--idempotency-key mine" in screen.screen()
    assert [job["job_id"] for job in jobs] == [again]


async def test_interrupting_a_followed_log_prints_nothing(server: ServerProcess) -> None:
    async with server:
        job = Shell(server.url).submit("-a", "behave=count,lines=10000,pause=0.01")
        with terminal(server, "logs", "-f", job) as screen:
            screen.until("line 5")
            screen.press_ctrl_c()
            code = screen.end()

    assert code == ExitCode.INTERRUPTED
    assert "Error" not in screen.screen()
    assert "Traceback" not in screen.screen()


async def wait_until_started(server: ServerProcess) -> list[str]:
    """Wait until the first job has a process, and return the ids of all jobs."""

    async def submitted() -> list[str]:
        body = await server.api.call("GET", "/jobs")
        return [str(job["job_id"]) for job in body["jobs"]]

    jobs: list[str] = await until(submitted)
    await harness_of(jobs[0])
    return jobs


async def _has_received(port: int) -> bool:
    """Return whether a request is in the kernel's buffer, unread by the server."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(
        int(local.rpartition(":")[2], 16) == port and int(queues.rpartition(":")[2], 16) > 0
        for _, local, _, _, queues, *_ in rows
    )
