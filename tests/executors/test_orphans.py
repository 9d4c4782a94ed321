"""What a killed runner, or who started it, leaves behind is found."""

import pytest

from evalserver.executors import Exit, ExitReason, Lost
from evalserver.runner.crash_point import VARIABLE as CRASH_VARIABLE
from tests.executors.conftest import Lab
from tests.executors.test_local import kill_runner
from tests.runner.escaping import ONLY_HANGS, contain_by, has_survivors, starts_away
from tests.runner.runs import HANGS


@pytest.mark.parametrize("kind", ["unified", "freezer"])
async def test_a_worker_that_emptied_its_environment_is_killed_with_the_cgroup(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    contain_by(kind, lab.directory, monkeypatch)
    attempt = await lab.started(starts_away(ONLY_HANGS, and_then="time.sleep(10_000)"))
    kill_runner(attempt)
    assert isinstance(await lab.executor.wait(attempt.run_dir), Lost)
    assert has_survivors(lab.directory)

    strays = await lab.executor.end_strays(attempt.run_dir, attempt.token)

    assert (strays.ended > 0, strays.doubt) == (True, None)
    assert not has_survivors(lab.directory)


async def test_without_a_cgroup_it_is_said_what_may_be_left(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    contain_by("none", lab.directory, monkeypatch)
    attempt = await lab.started(HANGS)
    kill_runner(attempt)
    await lab.executor.wait(attempt.run_dir)

    strays = await lab.executor.end_strays(attempt.run_dir, attempt.token)

    assert strays.doubt is not None


async def test_a_runner_whose_starter_was_killed_is_attended(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CRASH_VARIABLE, "runner_forked")
    attempt = lab.attempt(HANGS)

    await lab.executor.start(attempt)

    await lab.executor.stop(attempt.run_dir)
    end = await lab.executor.wait(attempt.run_dir)
    assert isinstance(end, Exit)
    assert end.reason is ExitReason.CANCELLED
