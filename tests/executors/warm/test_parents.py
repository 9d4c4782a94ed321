"""How many warm parents there are, and when one is ended."""

import stat

from tests.executors.warm.conftest import MakeLab
from tests.executors.warm.test_warm_starts import has_ended
from tests.support import until


async def test_a_parent_that_is_not_used_is_ended(make_lab: MakeLab) -> None:
    lab = make_lab(idle_s=0.0)
    parent = await lab.ready()

    await lab.parents.check()

    assert await has_ended(parent.pid)
    assert await lab.parents.status() == []


async def test_a_parent_that_is_used_is_kept(make_lab: MakeLab) -> None:
    lab = make_lab()
    parent = await lab.ready()

    await lab.parents.check()

    assert [each.pid for each in await lab.parents.status()] == [parent.pid]


async def test_no_parent_is_started_when_the_machine_has_too_little_memory(
    make_lab: MakeLab,
) -> None:
    lab = make_lab(min_available=1.1)

    start = await lab.ran()

    assert start["why"] == "the machine has too little memory for a warm parent"
    assert await lab.parents.status() == []


async def test_the_parent_that_was_not_used_for_the_longest_time_makes_room(
    make_lab: MakeLab,
) -> None:
    lab = make_lab(max_parents=2)
    oldest = await lab.ready(lab.spec(env={"N": "1"}))
    await lab.parents.find(lab.spec(env={"N": "2"}))
    await lab.ready(lab.spec(env={"N": "2"}))

    await lab.parents.find(lab.spec(env={"N": "3"}))

    await until(lambda: has_ended(oldest.pid))
    assert len(await lab.parents.status()) == 2


async def test_more_parents_than_allowed_do_not_load(make_lab: MakeLab) -> None:
    lab = make_lab("loads for ever", max_parents=1)
    await lab.ran()

    start = await lab.ran(lab.spec(env={"N": "2"}))

    assert start["why"] == "as many warm parents as allowed are loading or in use"


async def test_closing_ends_the_parents_also_one_that_is_loading(make_lab: MakeLab) -> None:
    lab = make_lab("loads for ever")
    await lab.ran()

    async def pid() -> int | None:
        return (await lab.parents.status())[0].pid

    loading = await until(pid)

    await lab.parents.close()

    assert await has_ended(loading)


async def test_the_memory_of_a_parent_is_told(make_lab: MakeLab) -> None:
    lab = make_lab()

    parent = await lab.ready()

    assert parent.memory is not None
    assert parent.memory.resident > parent.memory.shared > 0


async def test_what_a_parent_prints_is_readable_for_its_owner_alone(make_lab: MakeLab) -> None:
    lab = make_lab()
    await lab.ready()

    (log,) = (lab.directory / "warm").iterdir()

    assert stat.S_IMODE(log.stat().st_mode) == 0o600


async def test_the_variables_of_a_key_are_not_shown(make_lab: MakeLab) -> None:
    lab = make_lab()
    found = lab.spec(env={"API_KEY": "sk-of-a-lab"})
    await lab.ready(found)

    parent = await lab.parents.find(found)

    assert "sk-of-a-lab" not in repr(getattr(parent, "key", None))
