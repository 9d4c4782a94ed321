"""The runner on a node of a cluster, in the foreground: real processes, started as there."""

import ast
import asyncio
import fcntl
import json
import os
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from evalserver.runner import crash_point, files
from tests.runner.pythons import oldest_python
from tests.runner.runs import HANGS, HIDES, STUBBORN, Run, exit_code, is_stopped
from tests.support import WAIT_SECONDS, until

RUNNERS = 8
SAYS_VARIABLES = "import os; print(dict(os.environ))"
EXITS_WITH_0_ON_TERM = f"import signal, sys; signal.signal(15, lambda *_: sys.exit(0)); {HANGS}"


async def started(
    run: Run, program: str, grace_s: float = WAIT_SECONDS
) -> "subprocess.Popen[bytes]":
    """Start a program in the foreground, and wait until it says that it is ready."""
    run.prepare(program, grace_s=grace_s)
    process = run.start_in_foreground()
    await run.says("ready")
    return process


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        ("pass", 0),
        ("raise SystemExit(3)", 3),
        ("raise SystemExit(255)", 255),
        ("import os; os.kill(os.getpid(), 9)", 137),
        ("import os; os.kill(os.getpid(), 15)", 143),
    ],
)
async def test_the_runner_ends_with_the_exit_code_of_its_harness(
    run: Run, ending: str, code: int
) -> None:
    run.prepare(ending)

    ended = await exit_code(run.start_in_foreground())

    end = await run.end()
    assert (ended, end.reason, end.exit_code) == (code, "exited", code)


async def test_the_oldest_python_runs_it(run: Run) -> None:
    run.prepare("raise SystemExit(7)", max_silence_s=WAIT_SECONDS)

    ended = await exit_code(run.start_in_foreground(python=oldest_python()))

    assert (ended, (await run.end()).exit_code) == (7, 7)
    assert (run.dir / files.HEARTBEAT_FILE).exists()


async def test_an_attempt_that_cannot_be_started_is_no_success(run: Run) -> None:
    run.prepare_command(["/no/such/program"])

    assert await exit_code(run.start_in_foreground()) == 127
    assert (await run.end()).reason == "not_started"


async def test_an_attempt_with_a_malformed_job_file_is_no_success(run: Run) -> None:
    (run.dir / files.JOB_FILE).write_text("{")

    assert await exit_code(run.start_in_foreground()) == 127
    assert (await run.end()).reason == "not_started"


async def test_it_says_where_it_runs(run: Run) -> None:
    run.prepare("pass")
    process = run.start_in_foreground(env={"SLURM_JOB_ID": "4711"})

    await exit_code(process)

    said = json.loads((run.dir / files.RUNNER_FILE).read_text())
    assert said == {
        "pid": process.pid,
        "boot_id": files.boot_id(),
        "started_at": (await run.end()).started_at,
        "cgroup": None,
        "host": os.uname().nodename,
        "slurm_job_id": "4711",
    }


async def test_a_second_runner_changes_nothing_while_the_first_one_runs(run: Run) -> None:
    first = await started(run, HANGS)
    before = _contents(run.dir)

    second = await exit_code(run.start_in_foreground())

    assert second == files.STARTED_ELSEWHERE == 98
    assert _contents(run.dir) == before
    assert first.poll() is None


async def test_a_second_runner_changes_nothing_after_the_first_one_was_killed(run: Run) -> None:
    first = await started(run, HANGS)
    first.kill()
    await exit_code(first)
    before = _contents(run.dir)

    assert await exit_code(run.start_in_foreground()) == files.STARTED_ELSEWHERE
    assert _contents(run.dir) == before


async def test_a_runner_does_not_start_what_was_forbidden_to_start(run: Run) -> None:
    run.prepare("print('ready')")
    (run.dir / files.START_LOCK_FILE).touch()
    before = _contents(run.dir)

    assert await exit_code(run.start_in_foreground()) == files.STARTED_ELSEWHERE
    assert _contents(run.dir) == before


async def test_an_attempt_that_ran_in_the_background_is_not_started_again(run: Run) -> None:
    await run.start("print('ready')")
    await run.end()

    assert await exit_code(run.start_in_foreground()) == files.STARTED_ELSEWHERE
    assert run.log == "ready\n"


async def test_of_many_runners_one_starts_the_harness(run: Run) -> None:
    run.prepare("import os; print('ready', os.getpid())")

    runners = [run.start_in_foreground() for _ in range(RUNNERS)]
    codes = [await exit_code(each) for each in runners]

    assert sorted(codes) == [0] + [files.STARTED_ELSEWHERE] * (RUNNERS - 1)
    assert run.log.count("ready") == 1


async def test_it_runs_where_locks_do_not_reach(run: Run) -> None:
    run.prepare("print('ready')")
    lock = run.dir / files.LOCK_FILE
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)

        assert await exit_code(run.start_in_foreground()) == 0


async def test_the_harness_gets_no_variables_of_the_cluster_but_those_of_gpus(run: Run) -> None:
    run.prepare(SAYS_VARIABLES, env={"HOME": "/of/the/job"})
    cluster = {"SLURM_JOB_ID": "1", "SLURM_NTASKS": "1", "HOME": "/of/the/node", "PMI_RANK": "0"}
    gpus = {"CUDA_VISIBLE_DEVICES": "2,3", "ROCR_VISIBLE_DEVICES": "1", "HIP_VISIBLE_DEVICES": "1"}

    await exit_code(run.start_in_foreground(env={**cluster, **gpus}))

    found = ast.literal_eval(run.log)
    assert {name: found.get(name) for name in gpus} == gpus
    assert {name: found.get(name) for name in cluster} == {
        **dict.fromkeys(cluster),
        "HOME": "/of/the/job",
    }


async def test_the_gpus_of_the_job_file_are_those_of_the_harness(run: Run) -> None:
    run.prepare(SAYS_VARIABLES, env={"CUDA_VISIBLE_DEVICES": "7"})

    await exit_code(run.start_in_foreground(env={"CUDA_VISIBLE_DEVICES": "2,3"}))

    assert ast.literal_eval(run.log)["CUDA_VISIBLE_DEVICES"] == "7"


async def test_term_with_the_word_to_cancel_is_a_cancel(run: Run) -> None:
    runner = await started(run, HIDES)

    run.cancel()
    runner.send_signal(signal.SIGTERM)

    assert await exit_code(runner) == 128 + signal.SIGTERM
    assert (await run.end()).reason == "cancelled"
    assert run.harness_processes == []


async def test_term_without_it_is_a_termination(run: Run) -> None:
    runner = await started(run, HIDES.replace("SIG_IGN", "SIG_DFL"))

    runner.send_signal(signal.SIGTERM)

    assert await exit_code(runner) == 128 + signal.SIGTERM
    assert (await run.end()).reason == "terminated"
    assert run.harness_processes == []


async def test_a_word_to_cancel_that_is_seen_after_term_is_a_cancel(run: Run) -> None:
    runner = await started(run, STUBBORN, grace_s=2.0)
    runner.send_signal(signal.SIGTERM)

    await asyncio.sleep(0.5)  # a quarter of the grace: the runner has decided to stop
    run.cancel()

    assert await exit_code(runner) == 128 + signal.SIGKILL
    assert (await run.end()).reason == "cancelled"


async def test_term_before_the_harness_runs_ends_the_attempt(run: Run) -> None:
    run.prepare(HANGS)
    runner = run.start_in_foreground(env={crash_point.STOP_VARIABLE: "runner_locked"})

    await until(lambda: is_stopped(runner.pid))
    runner.send_signal(signal.SIGTERM)
    runner.send_signal(signal.SIGCONT)

    assert await exit_code(runner) != 0
    assert (await run.end()).reason == "terminated"
    assert run.harness_processes == []


@pytest.mark.parametrize("is_cancelled", [True, False])
async def test_a_cluster_that_signals_the_harness_first_is_understood(
    run: Run, is_cancelled: bool
) -> None:
    runner = await started(run, HANGS)
    runner.send_signal(signal.SIGSTOP)
    if is_cancelled:
        run.cancel()

    for pid in run.harness_processes:
        os.kill(pid, signal.SIGTERM)
    runner.send_signal(signal.SIGTERM)
    runner.send_signal(signal.SIGCONT)

    assert await exit_code(runner) == 128 + signal.SIGTERM
    assert (await run.end()).reason == ("cancelled" if is_cancelled else "terminated")


async def test_a_signal_to_the_runner_may_come_after_the_harness_has_ended(run: Run) -> None:
    runner = await started(run, HANGS)

    [harness] = run.harness_processes
    os.kill(harness, signal.SIGTERM)
    while psutil.pid_exists(harness):
        await asyncio.sleep(0.001)
    runner.send_signal(signal.SIGTERM)

    assert await exit_code(runner) == 128 + signal.SIGTERM
    assert (await run.end()).reason == "terminated"


async def test_a_cancelled_harness_that_exits_with_0_is_no_success(run: Run) -> None:
    runner = await started(run, EXITS_WITH_0_ON_TERM)

    run.cancel()

    assert await exit_code(runner) == 128 + signal.SIGTERM
    end = await run.end()
    assert (end.reason, end.exit_code) == ("cancelled", 0)


async def test_an_attempt_that_was_cancelled_before_its_start_does_not_run(run: Run) -> None:
    run.prepare("print('ready')")
    run.cancel()

    assert await exit_code(run.start_in_foreground()) == 128 + signal.SIGTERM
    assert (await run.end()).reason == "cancelled"
    assert run.log == ""


async def test_the_harness_dies_with_its_runner(run: Run) -> None:
    runner = await started(run, STUBBORN)

    runner.kill()

    async def harness_is_gone() -> bool:
        return not run.harness_processes

    await until(harness_is_gone)


async def test_a_missing_run_directory_is_an_error(run: Run) -> None:
    missing = Run(run.dir / "missing")

    with_traceback = missing.start_in_foreground()

    assert await exit_code(with_traceback) == 1
    assert not missing.dir.exists()


def _contents(folder: Path) -> dict[str, bytes]:
    """Return the files of a run directory but that which follows the processes."""
    return {
        path.name: path.read_bytes()
        for path in folder.iterdir()
        if not path.name.startswith(files.PROCESSES_FILE)
    }
