"""Ctrl-C, at each moment: what it leaves alone, what it cancels, what it says."""

import signal
from pathlib import Path

from evalserver.cli.exit_codes import ExitCode
from tests.cli.shell import Shell
from tests.cli.terminal import Terminal
from tests.support import ServerProcess, harness_of, until

HANG = ("-m", "dummy", "-t", "mme", "-a", "behave=hang")
STUBBORN = ("-m", "dummy", "-t", "mme", "-a", "behave=stubborn")


def terminal(server: ServerProcess, *arguments: object) -> Terminal:
    """The command on a terminal, with this server."""
    return Terminal(*arguments, environment={"EVALSERVER_URL": server.url})


def test_a_command_that_is_still_being_loaded_ends_without_a_word(tmp_path: Path) -> None:
    # Whoever presses Ctrl-C early interrupts an import.
    (tmp_path / "click.py").write_text("raise KeyboardInterrupt\n")

    done = Shell(PYTHONPATH=str(tmp_path)).run("jobs")

    assert (done.returncode, done.stdout, done.stderr) == (ExitCode.INTERRUPTED, "", "")


async def test_a_job_that_is_waited_for_goes_on(server: ServerProcess) -> None:
    async with server:
        with terminal(server, "submit", *HANG, "--wait") as screen:
            screen.until("starting")
            screen.press_ctrl_c()
            code = screen.end()
        [job] = Shell(server.url).json("jobs")

    assert (code, job["status"]) == (ExitCode.INTERRUPTED, "running")
    assert f"evalserver wait {job['job_id']}" in screen.screen()


async def test_the_same_holds_for_one_that_is_queued(server: ServerProcess) -> None:
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


async def test_a_job_is_cancelled_if_that_is_wanted(server: ServerProcess) -> None:
    async with server:
        options = ("--wait", "--cancel-on-interrupt")
        with terminal(server, "submit", *HANG, *options) as screen:
            screen.until("starting")
            screen.press_ctrl_c()
            code = screen.end()
        [job] = Shell(server.url).json("jobs")

    assert (code, job["status"]) == (ExitCode.CANCELLED, "cancelled")


async def test_a_scheduler_that_ends_the_command_cancels_the_job(server: ServerProcess) -> None:
    async with server:
        with terminal(server, "submit", *HANG, "--wait", "--cancel-on-interrupt") as screen:
            screen.until("starting")
            screen.terminate()
            code = screen.end()
        [job] = Shell(server.url).json("jobs")

    assert (code, job["status"]) == (ExitCode.CANCELLED, "cancelled")


async def test_ctrl_c_once_more_leaves_the_cancelling_to_the_server(tmp_path: Path) -> None:
    async with ServerProcess(tmp_path / "data", "--cancel-grace", "3") as server:
        with terminal(server, "submit", *STUBBORN, "--wait", "--cancel-on-interrupt") as screen:
            [job] = await started(server)
            screen.until("starting")
            screen.press_ctrl_c()
            screen.until("Cancelling")
            await server.api.when(job, "running", "cancelled")
            screen.press_ctrl_c()
            code = screen.end()
        ended = await server.api.finished(job)

    assert (code, ended["status"]) == (ExitCode.INTERRUPTED, "cancelled")
    assert "Interrupted before all jobs had ended" in screen.screen()


async def test_a_submission_that_is_interrupted_says_how_not_to_double_it(
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


async def test_a_log_that_is_followed_is_left_without_a_word(server: ServerProcess) -> None:
    async with server:
        job = Shell(server.url).submit("-a", "behave=count,lines=10000,pause=0.01")
        with terminal(server, "logs", "-f", job) as screen:
            screen.until("line 5")
            screen.press_ctrl_c()
            code = screen.end()

    assert code == ExitCode.INTERRUPTED
    assert "Error" not in screen.screen()
    assert "Traceback" not in screen.screen()


async def started(server: ServerProcess) -> list[str]:
    """The ids of all jobs, once the first of them has a process."""

    async def submitted() -> list[str]:
        body = await server.api.call("GET", "/jobs")
        return [str(job["job_id"]) for job in body["jobs"]]

    jobs: list[str] = await until(submitted)
    await harness_of(jobs[0])
    return jobs


async def _has_received(port: int) -> bool:
    """Does a request wait in the kernel for a server that does not look at it?"""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(
        int(local.rpartition(":")[2], 16) == port and int(queues.rpartition(":")[2], 16) > 0
        for _, local, _, _, queues, *_ in rows
    )
