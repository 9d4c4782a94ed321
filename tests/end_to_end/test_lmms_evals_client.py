"""The clients that lmms-eval ships, unmodified, against this server."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.real_harness import interpreter
from tests.support import Json, ServerProcess

pytestmark = pytest.mark.real_harness("lmms-eval")

DRIVER = Path(__file__).parent / "drive_client.py"


@pytest.mark.parametrize("client", ["EvalClient", "AsyncEvalClient"])
async def test_every_method_but_merge_works(lmms_server: ServerProcess, client: str) -> None:
    async with lmms_server as server:
        got = await _drive(client, server.url)

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


async def _drive(client: str, url: str) -> Json:
    process = await asyncio.create_subprocess_exec(
        *(str(interpreter("lmms-eval")), str(DRIVER), client, url),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode()
    got: Json = json.loads(output)
    return got
