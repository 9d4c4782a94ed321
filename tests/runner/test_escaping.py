"""No process of a harness is alive when its end is recorded, however it hides."""

import time

import pytest

from evalserver.runner import cgroups
from tests.runner.escaping import (
    CGROUP_KINDS,
    KEEPS_FORKING,
    MAX_ESCAPE_SECONDS,
    ONLY_HANGS,
    has_survivors,
    start_detached,
    use_cgroups,
)
from tests.runner.runs import HANGS, Run

HANGS_ON = "time.sleep(10_000)"
REPETITIONS = 3


@pytest.mark.parametrize("repetition", range(REPETITIONS))
@pytest.mark.parametrize("pause_s", [0, 0.02, 0.1])
@pytest.mark.parametrize("kind", CGROUP_KINDS)
async def test_a_process_that_keeps_forking_is_killed_by_a_cancel(
    run: Run, monkeypatch: pytest.MonkeyPatch, kind: str, pause_s: float, repetition: int
) -> None:
    use_cgroups(kind, run.dir, monkeypatch)
    last = time.time() + MAX_ESCAPE_SECONDS
    await run.start(start_detached(KEEPS_FORKING, pause_s, last, and_then=HANGS_ON), grace_s=0.2)
    assert has_survivors(run.dir)

    run.cancel()
    end = await run.end()

    assert end.reason == "cancelled"
    assert not has_survivors(run.dir)


@pytest.mark.parametrize("pause_s", [0, 0.02])
@pytest.mark.parametrize("kind", CGROUP_KINDS)
async def test_a_process_that_keeps_forking_does_not_outlive_its_harness(
    run: Run, monkeypatch: pytest.MonkeyPatch, kind: str, pause_s: float
) -> None:
    use_cgroups(kind, run.dir, monkeypatch)
    last = time.time() + MAX_ESCAPE_SECONDS
    await run.start(start_detached(KEEPS_FORKING, pause_s, last, and_then=""), grace_s=0.2)

    end = await run.end()

    assert (end.reason, end.leftovers > 0) == ("exited", True)
    assert not has_survivors(run.dir)


@pytest.mark.parametrize("kind", ["unified", "freezer"])
async def test_a_process_that_root_moved_out_of_the_cgroup_is_killed(
    run: Run, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    use_cgroups(kind, run.dir, monkeypatch)
    outside = cgroups.possible_cgroups(run.dir)[0].path.parent / "cgroup.procs"
    moves = f"open({str(outside)!r}, 'w').write('0'); {ONLY_HANGS}"
    await run.start(start_detached(moves, and_then=HANGS_ON), grace_s=0.2)

    run.cancel()
    await run.end()

    assert not has_survivors(run.dir)


@pytest.mark.parametrize("kind", ["unified", "freezer"])
async def test_the_cgroup_of_an_attempt_is_removed_at_its_end(
    run: Run, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    use_cgroups(kind, run.dir, monkeypatch)
    await run.start(HANGS)
    cgroup = run.cgroup
    assert cgroup is not None
    existed = cgroup.is_dir()

    run.cancel()
    await run.end()

    assert (existed, cgroup.exists()) == (True, False)


async def test_an_attempt_runs_where_no_cgroup_can_be_made(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_cgroups("none", run.dir, monkeypatch)
    await run.start("print('ready')")

    end = await run.end()

    assert (end.reason, end.exit_code) == ("exited", 0)
    assert run.cgroup is None
