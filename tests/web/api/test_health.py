"""``/health``, liveness and readiness, with and without free disk space."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import Api, Json, ServerProcess, request, until


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system that is easily filled; requires the right to mount one."""
    mount_point = tmp_path / "disk"
    mount_point.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(mount_point)], check=False
    )
    if mounted.returncode != 0:
        pytest.skip("this user may not mount a file system, so a full disk was NOT TESTED")
    yield mount_point
    subprocess.run(["umount", "--lazy", str(mount_point)], check=True)


async def test_a_healthy_server_is_alive_and_ready(api: Api) -> None:
    assert (await api.call("GET", "/health"))["status"] == "healthy"
    assert await api.call("GET", "/health/live") == {"status": "alive"}
    assert await api.call("GET", "/health/ready") == {"status": "ready"}


async def test_a_full_disk_degrades_the_server_until_space_is_freed(small_disk: Path) -> None:
    async with ServerProcess(small_disk / "data") as server:
        accepted = await server.api.submit(model_args={"seconds": 1})
        filler = small_disk / "filler"
        _fill(filler)

        await until(lambda: _is_rejected(server.api))
        health = await server.api.call("GET", "/health")
        await server.api.call("GET", "/health/ready", 503)
        filler.unlink()
        await until(lambda: _is_ready(server.api))

        assert health["status"] == "degraded"
        assert "cannot be written" in health["reason"]
        assert (await server.api.finished(accepted))["status"] in ("completed", "failed")
        assert (await server.api.finished(await server.api.submit()))["status"] == "completed"


def _fill(filler: Path) -> None:
    with filler.open("wb", buffering=0) as file:
        size = 65536
        while size:
            try:
                file.write(os.urandom(size))
            except OSError:
                size //= 2


async def _is_rejected(api: Api) -> Json | None:
    body = request(model_args={"filling": "x" * 8000})
    async with api._session.request("POST", api._base + "/evaluate", json=body) as response:
        found: Json = await response.json(content_type=None)
        return found if response.status == 503 and "Retry-After" in response.headers else None


async def _is_ready(api: Api) -> bool:
    async with api._session.request("GET", api._base + "/health/ready") as response:
        return bool(response.status == 200)
