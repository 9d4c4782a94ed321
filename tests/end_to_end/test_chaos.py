"""A short storm; ``scripts/chaos`` makes long ones."""

from pathlib import Path

from tests.chaos.storm import storm

SEED = 20261124


async def test_no_promise_is_broken_in_a_storm_of_kills(tmp_path: Path) -> None:
    report = await storm(tmp_path, SEED, kills=25)

    print(report)
    assert report.broken == []
