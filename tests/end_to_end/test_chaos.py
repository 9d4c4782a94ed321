"""A short chaos test; ``scripts/chaos`` runs long ones."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.abandoned import processes_of, sweep_abandoned
from tests.chaos.run import run_chaos
from tests.support import until

SEED = 20261124
ROOT = Path(__file__).parents[2]
ON_SLURM = (sys.executable, "-m", "tests.chaos", "--executor", "slurm", "--kills", "1000")


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory for temporary files, with a short path: a socket lies below it."""
    with tempfile.TemporaryDirectory(prefix="ct-") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.setattr(tempfile, "tempdir", None)
        yield Path(folder)
        sweep_abandoned()


async def storm(place: Path) -> subprocess.Popen[bytes]:
    """A chaos test on a Slurm of its own, whose first evaluation has started."""
    process = subprocess.Popen(ON_SLURM, cwd=ROOT, start_new_session=True)

    async def has_started() -> bool:
        assert process.poll() is None
        return any(place.glob("chaos-*/journal"))

    await until(has_started)
    return process


async def test_guarantees_hold_under_kills(tmp_path: Path) -> None:
    report = await run_chaos(tmp_path, SEED, kills=25)

    print(report)
    assert report.violations == []


@pytest.mark.slurm
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
async def test_a_chaos_test_that_is_stopped_leaves_nothing(
    place: Path, sent: signal.Signals
) -> None:
    process = await storm(place)

    os.kill(process.pid, sent)
    process.wait()

    assert processes_of(place) == []
    assert list(place.iterdir()) == []


@pytest.mark.slurm
async def test_what_a_killed_chaos_test_leaves_is_swept_by_the_next(place: Path) -> None:
    process = await storm(place)
    process.kill()
    process.wait()

    swept = sweep_abandoned()

    assert len(swept) == 1
    assert processes_of(swept[0]) == []
    assert list(place.iterdir()) == []
