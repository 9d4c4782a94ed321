"""The runner stops all processes of an evaluation, on request or at its time limit."""

import os
import signal

import pytest

from tests.runner.runs import HANGS, HIDES, STUBBORN, Run, is_running
from tests.support import until

SAYS_GOODBYE = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
print("ready", flush=True)
time.sleep(10_000)
"""

SAVES_ITS_WORK = """
import signal, sys, time
def save(*_):
    time.sleep(2)
    sys.exit(3)
signal.signal(signal.SIGTERM, save)
print("ready", flush=True)
time.sleep(10_000)
"""

LEAVES_CHILDREN = """
import subprocess
children = [subprocess.Popen(["sleep", "10000"], start_new_session=new) for new in (False, True)]
print("ready", *(child.pid for child in children))
"""

LEAVES_A_STUBBORN_CHILD = HIDES.rpartition("time.sleep")[0] + (
    "while 'hidden' not in open('eval.log').read(): time.sleep(0.02)"
)


async def test_a_cancelled_harness_may_exit_by_itself_on_term(run: Run) -> None:
    await run.start(SAYS_GOODBYE)

    run.cancel()
    end = await run.end()

    assert (end.reason, end.exit_code, end.leftovers) == ("cancelled", 3, 0)


async def test_a_cancelled_harness_has_a_grace_period_to_save_its_work(run: Run) -> None:
    await run.start(SAVES_ITS_WORK)

    run.cancel()
    end = await run.end()

    assert (end.reason, end.exit_code) == ("cancelled", 3)


async def test_a_cancelled_harness_without_a_handler_is_ended_by_term(run: Run) -> None:
    await run.start(HANGS)

    run.cancel()
    end = await run.end()

    assert (end.reason, end.exit_code) == ("cancelled", 128 + signal.SIGTERM)


async def test_a_harness_that_ignores_term_is_killed_after_the_grace_period(run: Run) -> None:
    await run.start(STUBBORN, grace_s=0.3)

    run.cancel()
    end = await run.end()

    assert (end.reason, end.exit_code) == ("cancelled", 128 + signal.SIGKILL)


async def test_a_stopped_harness_is_killed_after_the_grace_period(run: Run) -> None:
    await run.start(HANGS, grace_s=0.3)
    for pid in run.harness_processes:
        os.kill(pid, signal.SIGSTOP)

    run.cancel()
    end = await run.end()

    assert (end.reason, end.exit_code) == ("cancelled", 128 + signal.SIGKILL)


async def test_a_cancel_ends_a_child_that_hid_in_its_own_session(run: Run) -> None:
    await run.start(HIDES, grace_s=0.3)
    hidden = int(run.log.split()[1])

    run.cancel()
    end = await run.end()

    assert end.reason == "cancelled"
    assert not is_running(hidden)
    assert run.harness_processes == []


async def test_a_cancel_ends_every_generation_of_a_tree(run: Run) -> None:
    tree = (
        "import os, sys, time\n"
        "for _ in range(3): os.fork()\n"
        "print('one is ready', flush=True)\n"
        "time.sleep(10_000)"
    )
    await run.start(tree)

    async def all_are_ready() -> bool:
        return run.log.count("one is ready") == 8

    await until(all_are_ready)
    run.cancel()
    await run.end()

    assert run.harness_processes == []


async def test_an_attempt_that_was_cancelled_before_its_start_never_runs(run: Run) -> None:
    run.prepare(HANGS)
    run.cancel()

    run.start_runner()
    end = await run.end()

    assert (end.reason, end.exit_code) == ("cancelled", None)
    assert run.log == ""


async def test_an_evaluation_that_takes_too_long_is_stopped(run: Run) -> None:
    run.prepare(HANGS, timeout_s=0.5)
    run.start_runner()

    end = await run.end()

    assert (end.reason, end.exit_code) == ("timed_out", 128 + signal.SIGTERM)


async def test_a_timed_out_evaluation_that_ignores_term_is_killed(run: Run) -> None:
    run.prepare(STUBBORN, timeout_s=1, grace_s=0.3)
    run.start_runner()

    end = await run.end()

    assert end.reason == "timed_out"
    assert run.harness_processes == []


async def test_an_evaluation_within_its_time_is_left_alone(run: Run) -> None:
    await run.start("print('ready')", timeout_s=600)

    end = await run.end()

    assert (end.reason, end.exit_code) == ("exited", 0)


async def test_processes_that_a_harness_leaves_are_ended_and_counted(run: Run) -> None:
    await run.start(LEAVES_CHILDREN)

    end = await run.end()

    assert (end.reason, end.exit_code, end.leftovers) == ("exited", 0, 2)
    assert not any(is_running(int(pid)) for pid in run.log.split()[1:])


async def test_a_hidden_child_that_ignores_term_is_ended_after_its_harness_has_exited(
    run: Run,
) -> None:
    await run.start(LEAVES_A_STUBBORN_CHILD, grace_s=0.3)

    end = await run.end()

    assert (end.reason, end.exit_code, end.leftovers) == ("exited", 0, 1)
    assert run.harness_processes == []


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
async def test_a_terminated_runner_stops_its_harness_and_records_the_reason(
    run: Run, told: signal.Signals
) -> None:
    await run.start(HANGS)

    os.kill(run.runner, told)
    end = await run.end()

    assert (end.reason, end.exit_code) == ("terminated", 128 + signal.SIGTERM)
    assert run.harness_processes == []


async def test_the_runner_ignores_sighup(run: Run) -> None:
    await run.start(SAYS_GOODBYE)

    os.kill(run.runner, signal.SIGHUP)
    run.cancel()
    end = await run.end()

    assert (end.reason, end.exit_code) == ("cancelled", 3)
