"""What a killed runner, or who started it, leaves behind is found."""

import json
import subprocess
import sys
from functools import partial

import pytest

from evalserver.executors import Exit, ExitReason, LaunchSpec, Lost
from evalserver.runner import files
from evalserver.runner.crash_point import VARIABLE as CRASH_VARIABLE
from tests.executors.conftest import Lab
from tests.executors.test_local import kill_runner
from tests.runner.escaping import ONLY_HANGS, contain_by, has_survivors, starts_away
from tests.runner.runs import HANGS
from tests.support import until


@pytest.mark.parametrize("kind", ["unified", "freezer"])
async def test_a_worker_that_emptied_its_environment_is_killed_with_the_cgroup(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    contain_by(kind, lab.directory, monkeypatch)
    spec = await lab.started(starts_away(ONLY_HANGS, and_then="time.sleep(10_000)"))
    kill_runner(spec)
    assert isinstance(await lab.executor.wait(spec.run_dir), Lost)
    assert has_survivors(lab.directory)

    orphans = await lab.executor.kill_orphans(spec.run_dir, spec.token)

    assert (orphans.count > 0, orphans.doubt) == (True, None)
    assert not has_survivors(lab.directory)


async def test_a_worker_that_emptied_its_environment_is_killed_without_a_cgroup(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    contain_by("none", lab.directory, monkeypatch)
    spec = await lab.started(starts_away(ONLY_HANGS, and_then="time.sleep(10_000)"))
    await until(partial(_are_recorded, spec, 3))
    kill_runner(spec)
    assert isinstance(await lab.executor.wait(spec.run_dir), Lost)
    assert has_survivors(lab.directory)

    orphans = await lab.executor.kill_orphans(spec.run_dir, spec.token)

    assert (orphans.count > 0, orphans.doubt is None) == (True, False)
    assert not has_survivors(lab.directory)


@pytest.mark.parametrize(
    "holds",
    ["os.open('attempt-1/held', os.O_WRONLY | os.O_CREAT)", "os.dup2(1, 9)"],
)
async def test_a_worker_that_no_record_names_is_found_by_what_it_writes_to(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, holds: str
) -> None:
    contain_by("none", lab.directory, monkeypatch)
    worker = starts_away(ONLY_HANGS, and_then="time.sleep(10_000)")
    keeps = worker.replace("    nothing =", f"    os.set_inheritable({holds}, True)\n    nothing =")
    spec = await lab.started(keeps)
    await until(partial(_are_recorded, spec, 3))
    kill_runner(spec)
    await lab.executor.wait(spec.run_dir)
    path = spec.run_dir / files.PROCESSES_FILE
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "processes": record["processes"][:1]}))

    await lab.executor.kill_orphans(spec.run_dir, spec.token)

    assert not has_survivors(lab.directory)


async def test_a_process_that_got_a_recorded_pid_is_left_alone(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    contain_by("none", lab.directory, monkeypatch)
    spec = await lab.started(HANGS)
    await until(partial(_are_recorded, spec, 2))
    kill_runner(spec)
    await lab.executor.wait(spec.run_dir)
    path = spec.run_dir / files.PROCESSES_FILE
    record = json.loads(path.read_text())
    stranger = subprocess.Popen([sys.executable, "-c", ONLY_HANGS], start_new_session=True)
    try:
        one = [stranger.pid, record["processes"][0][1], stranger.pid]
        path.write_text(json.dumps({**record, "processes": [*record["processes"], one]}))

        await lab.executor.kill_orphans(spec.run_dir, spec.token)

        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


async def _are_recorded(spec: LaunchSpec, number: int) -> bool:
    path = spec.run_dir / files.PROCESSES_FILE
    return path.exists() and len(json.loads(path.read_text())["processes"]) >= number


async def test_without_a_cgroup_it_is_said_what_may_be_left(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    contain_by("none", lab.directory, monkeypatch)
    spec = await lab.started(HANGS)
    kill_runner(spec)
    await lab.executor.wait(spec.run_dir)

    orphans = await lab.executor.kill_orphans(spec.run_dir, spec.token)

    assert orphans.doubt is not None


async def test_a_runner_whose_starter_was_killed_is_attended(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CRASH_VARIABLE, "runner_forked")
    spec = lab.spec(HANGS)

    await lab.executor.start(spec)

    await lab.executor.stop(spec.run_dir)
    end = await lab.executor.wait(spec.run_dir)
    assert isinstance(end, Exit)
    assert end.reason is ExitReason.CANCELLED
