"""The clients that lmms-eval ships, unmodified, against this server."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from tests.checkpoints_in_shards import EMA, in_shards
from tests.end_to_end.conftest import RealServer
from tests.real_harness import interpreter
from tests.support import STAND_IN, Json, ServerProcess

pytestmark = pytest.mark.real_harness("lmms-eval")

DRIVER = Path(__file__).parent / "drive_client.py"


@pytest.mark.parametrize("client", ["EvalClient", "AsyncEvalClient"])
async def test_every_method_works(
    tmp_path: Path, digit_tasks: Path, real_server: RealServer, checkpoint: Path, client: str
) -> None:
    async with _server(tmp_path, digit_tasks, real_server) as server:
        got = await _drive(client, server.url, str(checkpoint))

    assert got["health"]["status"] == "healthy"
    assert got["is_healthy"] in (True, None)
    assert got["models"] is None or "dummy" in got["models"]
    assert got["tasks"] is None or "digits_vqa" in got["tasks"]
    assert got["submitted"]["status"] == "queued"
    assert got["queue"]["queue_size"] + (got["queue"]["running_job"] is not None) == 2
    assert "cancel" in got["cancelled"]["message"]
    assert got["job"]["job_id"] == got["submitted"]["job_id"]
    assert "acc,none" in got["finished"]["result"]["dummy"]["metrics"]["digits_vqa"]
    assert got["failure"].startswith("Job failed: The harness exited with 0 but wrote no results")
    if client == "EvalClient":
        assert (got["merged"]["success"], got["merged"]["merged_path"]) == (True, str(checkpoint))
        assert (checkpoint / "model.safetensors").read_text().startswith(EMA)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A sharded checkpoint."""
    return in_shards(tmp_path / "checkpoints" / "checkpoint-100", ema=True)


def _server(tmp_path: Path, tasks: Path, real_server: RealServer) -> ServerProcess:
    """A server with the real lmms-eval; the stand-in merges checkpoints."""
    config = tmp_path / "evalserver.toml"
    config.write_text(
        f'[engines.merge]\npython = "{sys.executable}"\n'
        f'environment = {{ PYTHONPATH = "{STAND_IN}" }}\n'
    )
    options = ("--config", str(config), "--allow-path", str(tmp_path))
    return real_server("lmms-eval", tasks, *options)


async def _drive(client: str, url: str, checkpoint: str) -> Json:
    process = await asyncio.create_subprocess_exec(
        *(str(interpreter("lmms-eval")), str(DRIVER), client, url, checkpoint),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode()
    got: Json = json.loads(output)
    return got
