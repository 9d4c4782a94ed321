"""Shared fixtures of tests that read the files of a job."""

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
