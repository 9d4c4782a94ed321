"""Starting an attempt warm, or cold with the reason, with a parent that behaves in any way."""

import asyncio
import os
from dataclasses import replace

import pytest

from evalserver.executors import ColdStart
from evalserver.runner import files
from tests.executors.warm.conftest import MakeLab, WarmLab
from tests.runner.runs import HANGS, is_running
from tests.support import until


async def has_ended(pid: int | None) -> bool:
    """Whether a process is gone."""
    return pid is None or not is_running(pid)


async def has_no_parent(lab: WarmLab) -> bool:
    """Whether no parent is left."""
    return not await lab.parents.status()


async def test_the_first_attempt_is_started_cold_while_a_parent_is_loaded_for_later_ones(
    make_lab: MakeLab,
) -> None:
    lab = make_lab()

    first = await lab.ran()
    await lab.ready()
    second = await lab.ran()

    assert first == {"start": "cold", "why": "there was no warm parent yet"}
    assert second == {"start": "warm"}
    assert lab.reported == ["loading", "warm"]


async def test_no_start_waits_for_a_parent_that_is_loading(make_lab: MakeLab) -> None:
    lab = make_lab("loads for ever")
    await lab.ran()

    start = await lab.ran()

    assert start == {"start": "cold", "why": "the warm parent was still loading"}


async def test_an_attempt_that_must_be_started_cold_says_why(make_lab: MakeLab) -> None:
    lab = make_lab()
    await lab.ready()

    start = await lab.ran(lab.spec(warm=ColdStart("stages", "another stage runs before it")))

    assert start == {"start": "cold", "why": "another stage runs before it"}


async def test_what_a_parent_refuses_is_started_cold_and_another_parent_is_loaded(
    make_lab: MakeLab,
) -> None:
    lab = make_lab("refuses")
    refusing = await lab.ready()

    start = await lab.ran()

    assert start == {"start": "cold", "why": "a file has changed"}
    assert (await lab.ready()).pid != refusing.pid


async def test_what_a_parent_does_not_answer_is_started_cold(make_lab: MakeLab) -> None:
    lab = make_lab("does not answer", start_s=0.3)
    silent = await lab.ready()

    start = await lab.ran()

    assert start == {"start": "cold", "why": "the warm parent did not answer within 0.3 s"}
    assert await has_ended(silent.pid)


async def test_an_unanswered_start_that_has_begun_is_not_begun_again(make_lab: MakeLab) -> None:
    lab = make_lab("starts and does not answer", start_s=5.0)
    await lab.ready()

    start = await lab.ran()

    assert start == {"start": "warm"}


@pytest.mark.parametrize(
    ("behavior", "why"), [("unusable", "it has a thread"), ("dies", "it has ended")]
)
async def test_a_harness_that_cannot_be_loaded_is_started_cold_with_the_reason(
    make_lab: MakeLab, behavior: str, why: str
) -> None:
    lab = make_lab(behavior)
    for _ in range(2):  # after a second failure, no other parent is tried at once
        await lab.parents.find(lab.spec())
        await until(lambda: has_no_parent(lab))

    start = await lab.ran()

    assert why in start["why"]


async def test_a_version_that_was_not_tried_is_started_cold(make_lab: MakeLab) -> None:
    lab = make_lab()
    spec = lab.spec()
    assert not isinstance(spec.warm, ColdStart)
    untried = replace(spec, warm=replace(spec.warm, versions=frozenset({"0.1"})))
    await lab.parents.find(untried)
    await until(lambda: has_no_parent(lab))

    start = await lab.ran(untried)

    assert "not tried with version" in start["why"]


async def test_a_harness_that_is_not_installed_is_started_cold(make_lab: MakeLab) -> None:
    lab = make_lab()
    spec = lab.spec()
    assert not isinstance(spec.warm, ColdStart)
    missing = replace(spec, warm=replace(spec.warm, distribution="no-such-harness"))
    await lab.parents.find(missing)
    await until(lambda: has_no_parent(lab))

    start = await lab.ran(missing)

    assert "the version of the harness is unknown" in start["why"]


async def test_an_attempt_with_other_variables_has_another_parent(make_lab: MakeLab) -> None:
    lab = make_lab()
    await lab.ready()

    start = await lab.ran(lab.spec(env={"HF_HOME": "/elsewhere"}))

    assert start == {"start": "cold", "why": "there was no warm parent yet"}


async def test_attempts_on_different_gpus_share_a_parent(make_lab: MakeLab) -> None:
    lab = make_lab()
    spec = lab.spec()
    await lab.ready(spec)

    start = await lab.ran(replace(spec, env={**spec.env, "CUDA_VISIBLE_DEVICES": "3"}))

    assert start == {"start": "warm"}


async def test_attempts_in_directories_of_their_own_share_a_parent(make_lab: MakeLab) -> None:
    lab = make_lab()
    first, second = (
        replace(spec, cwd=spec.run_dir / "work", command=replace(spec.command, directories=(own,)))
        for spec in (lab.spec(), lab.spec())
        if (own := spec.run_dir / "work")
    )
    await lab.ready(first)

    assert await lab.ran(second) == {"start": "warm"}


async def test_changed_code_of_evalserver_has_another_parent(make_lab: MakeLab) -> None:
    lab = make_lab()
    await lab.ready()
    (lab.preload.parent / "new.py").touch()

    assert (await lab.ran())["start"] == "cold"


async def test_changed_code_that_keeps_its_size_and_time_has_another_parent(
    make_lab: MakeLab,
) -> None:
    lab = make_lab()
    code = lab.preload.parent / "own.py"
    code.write_text("VALUE = 1\n")
    status = code.stat()
    await lab.ready()
    code.write_text("VALUE = 2\n")
    os.utime(code, ns=(status.st_atime_ns, status.st_mtime_ns))

    assert (await lab.ran())["start"] == "cold"


async def test_an_attempt_survives_its_parent_and_another_executor_finds_it(
    make_lab: MakeLab,
) -> None:
    lab = make_lab()
    await lab.ready()
    spec = await lab.running(HANGS)

    await lab.parents.close()

    other = lab.make_executor()
    assert await other.was_started(spec.run_dir)
    await other.start(spec)
    assert lab.start_of(spec) == {"start": "warm"}
    assert files.lock_is_held(spec.run_dir)


async def test_two_starts_at_once_are_both_warm(make_lab: MakeLab) -> None:
    lab = make_lab()
    await lab.ready()

    starts = await asyncio.gather(lab.ran(), lab.ran())

    assert [*starts] == [{"start": "warm"}] * 2


async def test_a_parent_that_was_killed_is_replaced(make_lab: MakeLab) -> None:
    lab = make_lab()
    killed = await lab.ready()
    assert killed.pid is not None
    os.kill(killed.pid, 9)

    assert (await lab.ran())["start"] == "cold"
    assert (await lab.ready()).pid != killed.pid
