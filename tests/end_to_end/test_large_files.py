"""What an evaluation left is judged with bounded memory, however long its lines are."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.support import ServerProcess

MAX_GROWTH_MB = 70
"""The lines have 100 MB. Measured with 300 MB: 7 MB for a line of samples, 4 MB for one of the log,
19 MB for a results file, of which 16 MB may be read."""

LEFT: dict[str, tuple[dict[str, Any], str]] = {
    "a line of samples": ({"behave": "leave", "what": "long sample"}, "completed"),
    "a results file": ({"behave": "leave", "what": "long results"}, "failed"),
    "a line of the log": ({"behave": "no_newline", "megabytes": 100}, "completed"),
}


@pytest.mark.parametrize(("model_args", "status"), LEFT.values(), ids=LEFT.keys())
async def test_a_long_line_takes_little_memory(
    tmp_path: Path, model_args: dict[str, Any], status: str
) -> None:
    async with ServerProcess(tmp_path / "data") as server:
        before = _peak_mb(server)
        job = await server.api.finished(await server.api.submit(model_args=model_args))
        grown = _peak_mb(server) - before

    assert job["status"] == status, job["error"]
    assert grown < MAX_GROWTH_MB


def _peak_mb(server: ServerProcess) -> float:
    text = Path(f"/proc/{server.process.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", text)
    assert found is not None
    return int(found[1]) / 1024
