"""A short chaos test; ``scripts/chaos`` runs long ones."""

from pathlib import Path

from tests.chaos.run import run_chaos

SEED = 20261124


async def test_guarantees_hold_under_kills(tmp_path: Path) -> None:
    report = await run_chaos(tmp_path, SEED, kills=25)

    print(report)
    assert report.violations == []
