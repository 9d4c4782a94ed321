"""What the tests of a job's files share."""

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
    """A directory outside, with a file that is nobody's business."""
    path = tmp_path / "outside"
    path.mkdir()
    (path / "secret").write_bytes(SECRET)
    return path
