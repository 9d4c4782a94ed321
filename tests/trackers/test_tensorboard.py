"""``--to tensorboard``, read back by TensorBoard's own reader."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support import ServerProcess
from tests.trackers.conftest import KEPT, MakeFollow
from tests.trackers.following import TRACKERS, Follow, read_by
from tests.trackers.history import BEGINNING, Numbers, complete_jobs

pytestmark = pytest.mark.real_harness("trackers")

READ = """
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
found = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0})
found.Reload()
print(json.dumps({tag: [[e.step, e.value, e.wall_time] for e in found.Scalars(tag)]
                  for tag in found.Tags()["scalars"]}))
"""
"""Prints the points of a run as JSON."""

READ_TWICE = """
import json, sys, subprocess
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
found = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0})
found.Reload()
before = len(found.Scalars("mme/acc"))
command, environment = json.loads(sys.argv[2]), json.loads(sys.argv[3])
subprocess.run(command, env=environment, check=True, stderr=subprocess.DEVNULL)
found.Reload()
print(json.dumps([before, [e.step for e in found.Scalars("mme/acc")]]))
"""
"""Prints how many points a run had, runs a command, and prints the steps of the points then."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The directory that TensorBoard is given."""
    return tmp_path / "tensorboard"


@pytest.fixture
def follow(make_follow: MakeFollow, folder: Path) -> Follow:
    """The command that writes there."""
    return make_follow("--to", "tensorboard", "--dir", folder, python=TRACKERS)


def points(run: Path) -> dict[str, list[Any]]:
    """The points of a run by tag, as TensorBoard reads them."""
    found: dict[str, list[Any]] = read_by(READ, run)
    return found


def expected_points(numbers: Numbers, tag: str) -> list[tuple[int, float]]:
    """The points that a tag must have."""
    return sorted((step, value) for _, name, step, value in numbers if name == tag)


async def test_a_series_is_one_file_with_each_number_at_its_step_and_time(
    server: ServerProcess, follow: Follow, folder: Path
) -> None:
    numbers = await complete_jobs(server.data_dir, range(2 * KEPT), keep=KEPT)
    other = await complete_jobs(server.data_dir, range(3), series="../a b")
    async with server:
        follow.once()

    [file] = (folder / "run").iterdir()
    found = points(folder / "run")
    assert file.name == "events.out.tfevents.0000000001.evalserver"
    for tag in ("mme/acc", "mme/acc_stderr"):
        assert [tuple(point[:2]) for point in found[tag]] == expected_points(numbers, tag)
    assert found["mme/acc"][5][2] == BEGINNING.timestamp() + 5
    [strange] = set(folder.iterdir()) - {folder / "run", folder / ".evalserver-follow.lock"}
    assert strange.name.startswith("_a_b-")
    assert len(points(strange)["mme/acc"]) == len(expected_points(other, "mme/acc"))


async def test_a_running_tensorboard_sees_new_points_and_no_point_twice(
    server: ServerProcess, follow: Follow, folder: Path
) -> None:
    await complete_jobs(server.data_dir, range(5))
    async with server:
        follow.once()
    await complete_jobs(server.data_dir, range(5, 8))
    async with server:
        command = json.dumps([*follow.command, "--once"])
        environment = json.dumps(follow.environment)
        before, steps = read_by(READ_TWICE, folder / "run", command, environment)

    assert (before, steps) == (5, [0, 1, 2, 3, 4, 5, 6, 7])
    assert [path.name for path in (folder / "run").iterdir() if path.stat().st_size] == [
        "events.out.tfevents.0000000002.evalserver"
    ]


async def test_every_number_comes_once_through_kills(
    server: ServerProcess, follow: Follow, folder: Path
) -> None:
    numbers = await complete_jobs(server.data_dir, range(300), keep=KEPT)

    def count() -> int:
        return sum(path.stat().st_size for path in follow.state.glob("*/records.jsonl"))

    async with server:
        follow.kill_often(2, count, end=10**9)
        follow.once()
        for path in (folder / "run").iterdir():
            path.unlink()  # what is missing is written again
        follow.once()

    found = points(folder / "run")
    assert [tuple(point[:2]) for point in found["mme/acc"]] == expected_points(numbers, "mme/acc")
