"""The processes that a killed runner leaves are found and killed."""

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
from tests.runner.escaping import ONLY_HANGS, has_survivors, start_detached, use_cgroups
from tests.runner.runs import HANGS
from tests.support import until


@pytest.mark.parametrize("kind", ["unified", "freezer"])
async def test_a_worker_that_emptied_its_environment_is_killed_with_the_cgroup(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    use_cgroups(kind, lab.directory, monkeypatch)
    spec = await lab.running(start_detached(ONLY_HANGS, and_then="time.sleep(10_000)"))
    kill_runner(spec)
    assert isinstance(await lab.executor.wait(spec.run_dir), Lost)
    assert has_survivors(lab.directory)

    orphans = await lab.executor.kill_orphans(spec.run_dir, spec.token)

    assert (orphans.count > 0, orphans.doubt) == (True, None)
    assert not has_survivors(lab.directory)


async def test_a_worker_that_emptied_its_environment_is_killed_without_a_cgroup(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_cgroups("none", lab.directory, monkeypatch)
    spec = await lab.running(start_detached(ONLY_HANGS, and_then="time.sleep(10_000)"))
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
async def test_an_unrecorded_worker_is_found_by_its_open_files(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, holds: str
) -> None:
    use_cgroups("none", lab.directory, monkeypatch)
    worker = start_detached(ONLY_HANGS, and_then="time.sleep(10_000)")
    keeps = worker.replace("    nothing =", f"    os.set_inheritable({holds}, True)\n    nothing =")
    spec = await lab.running(keeps)
    await until(partial(_are_recorded, spec, 3))
    kill_runner(spec)
    await lab.executor.wait(spec.run_dir)
    path = spec.run_dir / files.PROCESSES_FILE
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "processes": record["processes"][:1]}))

    await lab.executor.kill_orphans(spec.run_dir, spec.token)

    assert not has_survivors(lab.directory)


async def test_a_process_that_reuses_a_recorded_pid_is_left_alone(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_cgroups("none", lab.directory, monkeypatch)
    spec = await lab.running(HANGS)
    await until(partial(_are_recorded, spec, 2))
    kill_runner(spec)
    await lab.executor.wait(spec.run_dir)
    path = spec.run_dir / files.PROCESSES_FILE
    record = json.loads(path.read_text())
    other_process = subprocess.Popen([sys.executable, "-c", ONLY_HANGS], start_new_session=True)
    try:
        reused = [other_process.pid, record["processes"][0][1], other_process.pid]
        path.write_text(json.dumps({**record, "processes": [*record["processes"], reused]}))

        await lab.executor.kill_orphans(spec.run_dir, spec.token)

        assert other_process.poll() is None
    finally:
        other_process.kill()
        other_process.wait()


async def _are_recorded(spec: LaunchSpec, number: int) -> bool:
    path = spec.run_dir / files.PROCESSES_FILE
    return path.exists() and len(json.loads(path.read_text())["processes"]) >= number


async def test_without_a_cgroup_possible_orphans_are_reported(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_cgroups("none", lab.directory, monkeypatch)
    spec = await lab.running(HANGS)
    kill_runner(spec)
    await lab.executor.wait(spec.run_dir)

    orphans = await lab.executor.kill_orphans(spec.run_dir, spec.token)

    assert orphans.doubt is not None


async def test_a_runner_whose_parent_was_killed_is_supervised(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CRASH_VARIABLE, "runner_forked")
    spec = lab.spec(HANGS)

    await lab.executor.start(spec)

    await lab.executor.stop(spec.run_dir)
    end = await lab.executor.wait(spec.run_dir)
    assert isinstance(end, Exit)
    assert end.reason is ExitReason.CANCELLED
