"""The runner as a real process: its start, its lock, its harness and its exit record."""

import ast
import asyncio
import fcntl
import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import psutil

from evalserver.runner import files
from evalserver.runner.launch_spec import RUN_DIR_VARIABLE, TOKEN_VARIABLE
from tests.runner.runs import HANGS, HIDES, STUBBORN, Run, is_running, runner_command
from tests.support import WAIT_SECONDS, until


def test_the_runner_imports_only_the_standard_library() -> None:
    # As an executor starts it, in an interpreter that has nothing but the standard library.
    code = (
        "import runpy, sys; sys.argv[1:] = ['no-such-directory']\n"
        f"try: runpy.run_path({str(files.PROGRAM)!r}, run_name='__main__')\n"
        "except FileNotFoundError: pass\n"
        "print(*sys.modules)"
    )
    loaded = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()

    ours = {name for name in loaded if name.startswith("evalserver.")}
    others = {name.partition(".")[0] for name in loaded} - sys.stdlib_module_names
    assert ours and all(name.startswith("evalserver.runner") for name in ours)
    assert others <= {"evalserver", "__main__"}


async def test_a_start_returns_when_the_attempt_is_supervised(run: Run) -> None:
    run.prepare(HANGS)

    code = run.start_runner()

    assert code == 0
    assert run.is_locked
    assert is_running(run.runner)


async def test_the_runner_is_in_a_session_of_its_own(run: Run) -> None:
    await run.start(HANGS)

    assert os.getsid(run.runner) == run.runner


async def test_the_runner_records_its_start_time_and_boot_id(run: Run) -> None:
    await run.start("print('ready')")

    written = json.loads((run.dir / files.RUNNER_FILE).read_text())
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert written["boot_id"] == boot_id
    assert written["started_at"] == (await run.end()).started_at


async def test_the_lock_is_held_while_the_runner_is_alive(run: Run) -> None:
    await run.start(
        "import os, time; print('ready', flush=True)\n"
        "while not os.path.exists('go on'): time.sleep(0.02)"
    )
    held_before = run.is_locked

    (run.dir / "go on").touch()
    await run.end()

    assert held_before
    assert not run.is_locked


async def test_processes_of_the_harness_do_not_inherit_the_lock(run: Run) -> None:
    await run.start(HIDES)

    os.kill(run.runner, signal.SIGKILL)

    async def lock_is_free() -> bool:
        return not run.is_locked

    await until(lock_is_free)
    assert run.harness_processes


async def test_the_harness_is_killed_with_its_runner(run: Run) -> None:
    await run.start(STUBBORN)

    os.kill(run.runner, signal.SIGKILL)

    async def harness_is_gone() -> bool:
        return not run.harness_processes

    await until(harness_is_gone)


async def test_a_run_directory_without_a_runner_is_not_locked(tmp_path: Path) -> None:
    assert not files.lock_is_held(tmp_path)


async def test_the_exit_record_has_the_exit_code_of_the_harness(run: Run) -> None:
    await run.start("print('ready'); raise SystemExit(7)")

    end = await run.end()

    assert (end.reason, end.exit_code, end.leftovers, end.error) == ("exited", 7, 0, None)


async def test_the_exit_record_has_start_and_end_in_utc(run: Run) -> None:
    await run.start("import time; print('ready'); time.sleep(0.5)")

    end = await run.end()

    started, ended = (datetime.fromisoformat(text) for text in (end.started_at, end.ended_at))
    assert started.tzinfo == ended.tzinfo == UTC
    assert (ended - started).total_seconds() >= 0.5


async def test_a_harness_killed_by_a_signal_has_exit_code_128_plus_its_number(run: Run) -> None:
    await run.start("import os; print('ready', flush=True); os.kill(os.getpid(), 9)")

    end = await run.end()

    assert (end.reason, end.exit_code) == ("exited", 137)


async def test_the_log_contains_stdout_and_stderr(run: Run) -> None:
    await run.start(
        "import sys; print('ready to say'); sys.stdout.flush(); print('a word', file=sys.stderr)"
    )

    await run.end()

    assert run.log == "ready to say\na word\n"


async def test_output_without_a_newline_reaches_the_log(run: Run) -> None:
    await run.start("print('x' * 2**20 + 'ready', end='')")

    await run.end()

    assert run.log == "x" * 2**20 + "ready"


async def test_100_mb_of_output_reach_the_log(run: Run) -> None:
    log = run.dir / files.LOG_FILE
    run.prepare("import sys\nfor _ in range(100): sys.stdout.write(('x' * 127 + '\\n') * 8192)")
    run.start_runner()

    end = await run.end()

    size = log.stat().st_size
    log.unlink()
    assert (end.exit_code, size) == (0, 100 * 2**20)


async def test_the_stdin_of_the_harness_is_empty(run: Run) -> None:
    await run.start("import sys; print('ready', repr(sys.stdin.read()))")

    await run.end()

    assert run.log == "ready ''\n"


async def test_the_harness_inherits_no_blocked_signals(run: Run) -> None:
    await run.start("import signal; print('ready', signal.pthread_sigmask(signal.SIG_BLOCK, []))")

    await run.end()

    assert run.log == "ready set()\n"


async def test_the_harness_gets_only_the_environment_and_directory_of_its_job(run: Run) -> None:
    await run.start("import os; print('ready', os.getcwd(), sorted(os.environ))")

    await run.end()

    # A Python that starts in the C locale sets LC_CTYPE by itself.
    names = ast.literal_eval(run.log.partition(f"{run.dir} ")[2])
    assert set(names) - {"LC_CTYPE"} == {
        "RUNNER_TEST_DIRECTORY",
        TOKEN_VARIABLE,
        RUN_DIR_VARIABLE,
    }


async def test_a_missing_program_is_not_started_and_named(run: Run) -> None:
    run.prepare_command(["/no/such/program"])
    run.start_runner()

    end = await run.end()

    assert (end.reason, end.exit_code) == ("not_started", 127)
    assert end.error is not None
    assert "No such file or directory: '/no/such/program'" in end.error


async def test_an_attempt_with_a_malformed_job_file_is_not_started(run: Run) -> None:
    (run.dir / files.JOB_FILE).write_text('{"argv": [')
    run.start_runner()

    end = await run.end()

    assert end.reason == "not_started"


async def test_a_runner_starts_although_its_lock_is_held_for_a_moment(run: Run) -> None:
    run.prepare(HANGS)
    lock = run.dir / files.LOCK_FILE
    with lock.open("w") as tried:
        fcntl.flock(tried, fcntl.LOCK_SH)
        starting = subprocess.Popen(runner_command(run.dir))

        async def runner_wants_it() -> bool:
            return starting.poll() is not None or str(lock) in _open_files(starting.pid)

        await until(runner_wants_it)
        await asyncio.sleep(0.2)  # a tenth of the runner's patience

    assert await asyncio.to_thread(starting.wait, WAIT_SECONDS) == 0


async def test_a_second_runner_exits_while_the_first_one_is_alive(run: Run) -> None:
    await run.start(HANGS)
    first = run.runner

    code = run.start_runner()

    assert code == files.LOCK_BUSY == 75
    assert run.runner == first
    assert is_running(first)


async def test_a_second_runner_exits_after_the_first_one_has_ended(run: Run) -> None:
    await run.start("print('ready')")
    outcome = await run.end()

    code = run.start_runner()

    assert code == files.STARTED_BEFORE == 76
    assert await run.end() == outcome
    assert run.log == "ready\n"


async def test_a_killed_runner_leaves_no_exit_record_and_releases_its_lock(run: Run) -> None:
    await run.start(HANGS)

    psutil.Process(run.runner).kill()

    async def lock_is_free() -> bool:
        return not run.is_locked

    await until(lock_is_free)
    assert not run.exit_file.exists()
    assert run.start_runner() == files.STARTED_BEFORE


async def test_the_runner_outlives_the_process_that_started_it(run: Run) -> None:
    run.prepare(HANGS)
    program = f"import subprocess; subprocess.run({runner_command(run.dir)!r}); print(flush=True)"
    parent = subprocess.Popen(
        [sys.executable, "-c", f"{program}; import time; time.sleep(10_000)"],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert parent.stdout is not None
    parent.stdout.readline()

    os.killpg(parent.pid, signal.SIGKILL)
    parent.wait(timeout=WAIT_SECONDS)
    parent.stdout.close()

    assert is_running(run.runner)
    await run.says("ready")
    run.cancel()
    assert (await run.end()).reason == "cancelled"


def _open_files(pid: int) -> list[str]:
    """Return the paths of a process's open files; empty if it has ended."""
    try:
        return [file.path for file in psutil.Process(pid).open_files()]
    except psutil.NoSuchProcess:
        return []
