"""A database removed while its server runs: no write is acknowledged that would be lost."""

from pathlib import Path

import pytest

from tests.support import WAIT_SECONDS, Json, ServerProcess, request, until

FILES = ("evalserver.db", "evalserver.db-wal")
FOLLOWERS = 3
"""Of a server: gates, webhooks, and webhooks of the server's own events."""


async def health(server: ServerProcess) -> Json:
    answer: Json = await server.api.call("GET", "/health")
    return answer


async def is_degraded(server: ServerProcess) -> bool:
    return bool((await health(server))["status"] == "degraded")


async def has_written_its_cursors(server: ServerProcess) -> bool:
    """Whether the followers have begun: then nothing is written until there are jobs."""
    return len(server.query("SELECT follower FROM follower_cursors")) >= FOLLOWERS


@pytest.mark.parametrize("name", FILES)
async def test_nothing_is_accepted_once_a_file_was_removed(
    server: ServerProcess, name: str
) -> None:
    async with server:
        await server.api.submit()
        (server.data_dir / name).unlink()

        problem = await server.api.call("POST", "/evaluate", 503, json=request())

        assert f"{server.data_dir / name} was removed or renamed" in problem["detail"]


@pytest.mark.parametrize("name", FILES)
async def test_health_reports_a_removed_file_without_a_submission(
    server: ServerProcess, name: str
) -> None:
    async with server:
        await server.api.submit()
        (server.data_dir / name).unlink()

        await until(lambda: is_degraded(server))

        assert "restore a backup" in str(await health(server))


async def test_jobs_accepted_before_the_wal_was_removed_survive_a_kill(
    server: ServerProcess,
) -> None:
    async with server:
        job_id = await server.api.submit()
        (server.data_dir / "evalserver.db-wal").unlink()
        await until(lambda: is_degraded(server))

        server.kill()
        await server.start()

        assert (await server.api.job(job_id))["job_id"] == job_id


@pytest.mark.parametrize("name", FILES)
async def test_a_server_recovers_when_the_same_file_is_restored(
    server: ServerProcess, name: str
) -> None:
    async with server:
        # A commit that is under way when the file goes needs a restart.
        await until(lambda: has_written_its_cursors(server))
        path = server.data_dir / name
        path.rename(server.data_dir / "away")
        await until(lambda: is_degraded(server))

        (server.data_dir / "away").rename(path)

        async def is_healthy() -> bool:
            return not await is_degraded(server)

        await until(is_healthy)
        job_id = await server.api.submit()
        server.kill()
        await server.start()
        assert (await server.api.job(job_id))["job_id"] == job_id


async def test_another_file_of_the_same_name_is_not_used(
    server: ServerProcess,
) -> None:
    async with server:
        path = server.data_dir / "evalserver.db"
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content)

        problem = await server.api.call("POST", "/evaluate", 503, json=request())

        assert "was replaced by another" in problem["detail"]


@pytest.mark.parametrize("is_emptied", [False, True])
async def test_a_missing_database_beside_run_directories_prevents_the_start(
    server: ServerProcess, is_emptied: bool
) -> None:
    async with server:
        await server.api.finished(await server.api.submit())
        server.stop()
        path: Path = server.data_dir / "evalserver.db"
        path.unlink()
        if is_emptied:
            path.touch()

        server.launch()

        assert server.process.wait(timeout=WAIT_SECONDS) == 1
        assert f"{server.data_dir / 'runs'} has the files of jobs (1)" in server.log.read_text()
        assert not is_emptied or path.stat().st_size == 0


async def test_moving_the_run_directories_away_allows_a_fresh_start(
    server: ServerProcess,
) -> None:
    async with server:
        await server.api.finished(await server.api.submit())
        server.stop()
        (server.data_dir / "evalserver.db").unlink()
        (server.data_dir / "runs").rename(server.data_dir / "old-runs")

        await server.start()

        assert server.query("SELECT job_id FROM jobs") == []
