"""Shared fixtures of tests that read the files of a job, or name checkpoints."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support import Api, Json
from tests.web.files import SECRET


@pytest.fixture
async def job(api: Api) -> Json:
    """A completed job."""
    return await api.finished(await api.submit())


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A directory outside the output directory, with a file that must not be disclosed."""
    path = tmp_path / "outside"
    path.mkdir()
    (path / "secret").write_bytes(SECRET)
    return path


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The directory of a training run."""
    return tmp_path / "run"


@pytest.fixture
async def gate(api: Api, tmp_path: Path) -> AsyncIterator[Path]:
    """Until this file exists, no job starts: one that waits for it is running."""
    gate = tmp_path / "gate"
    await api.submit(model_args={"until": str(gate)})
    yield gate
    gate.touch()
