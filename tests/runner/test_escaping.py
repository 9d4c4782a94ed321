"""Nothing that a harness started is alive when its end is written down, however it hides."""

import time

import pytest

from evalserver.runner import cgroups
from tests.runner.escaping import (
    CONTAINMENTS,
    FORKS_AND_ENDS,
    GIVES_UP_SECONDS,
    ONLY_HANGS,
    contain_by,
    has_survivors,
    starts_away,
)
from tests.runner.runs import HANGS, Run

HANGS_ON = "time.sleep(10_000)"
REPETITIONS = 3


@pytest.mark.parametrize("repetition", range(REPETITIONS))
@pytest.mark.parametrize("pause_s", [0, 0.02, 0.1])
@pytest.mark.parametrize("kind", CONTAINMENTS)
async def test_who_forks_and_ends_again_and_again_is_gone_after_a_cancel(
    run: Run, monkeypatch: pytest.MonkeyPatch, kind: str, pause_s: float, repetition: int
) -> None:
    contain_by(kind, run.dir, monkeypatch)
    last = time.time() + GIVES_UP_SECONDS
    await run.start(starts_away(FORKS_AND_ENDS, pause_s, last, and_then=HANGS_ON), grace_s=0.2)
    assert has_survivors(run.dir)

    run.cancel()
    end = await run.end()

    assert end.reason == "cancelled"
    assert not has_survivors(run.dir)


@pytest.mark.parametrize("pause_s", [0, 0.02])
@pytest.mark.parametrize("kind", CONTAINMENTS)
async def test_who_forks_and_ends_again_and_again_does_not_outlive_a_harness_that_exits(
    run: Run, monkeypatch: pytest.MonkeyPatch, kind: str, pause_s: float
) -> None:
    contain_by(kind, run.dir, monkeypatch)
    last = time.time() + GIVES_UP_SECONDS
    await run.start(starts_away(FORKS_AND_ENDS, pause_s, last, and_then=""), grace_s=0.2)

    end = await run.end()

    assert (end.reason, end.leftovers > 0) == ("exited", True)
    assert not has_survivors(run.dir)


@pytest.mark.parametrize("kind", ["unified", "freezer"])
async def test_a_process_that_root_moved_out_of_the_cgroup_is_ended_all_the_same(
    run: Run, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    contain_by(kind, run.dir, monkeypatch)
    outside = cgroups.possible_cgroups(run.dir)[0].path.parent / "cgroup.procs"
    moves = f"open({str(outside)!r}, 'w').write('0'); {ONLY_HANGS}"
    await run.start(starts_away(moves, and_then=HANGS_ON), grace_s=0.2)

    run.cancel()
    await run.end()

    assert not has_survivors(run.dir)


@pytest.mark.parametrize("kind", ["unified", "freezer"])
async def test_the_cgroup_of_an_attempt_is_removed_at_its_end(
    run: Run, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    contain_by(kind, run.dir, monkeypatch)
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
    contain_by("none", run.dir, monkeypatch)
    await run.start("print('ready')")

    end = await run.end()

    assert (end.reason, end.exit_code) == ("exited", 0)
    assert run.cgroup is None
