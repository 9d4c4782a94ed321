"""Administration of the server: drain, resume, prune and backup."""

import stat
from pathlib import Path

from evalserver.store import check_database, snapshot
from tests.conftest import MakeApi
from tests.support import Api, ServerProcess

HANG = {"behave": "hang"}


async def test_a_draining_server_accepts_jobs_but_starts_none(api: Api) -> None:
    running = await api.submit(model_args=HANG)
    await api.when(running, "running")

    response = await api.call("POST", "/drain?reason=new+driver")
    waiting = await api.submit()
    await api.call("DELETE", f"/jobs/{running}")
    await api.when(running, "cancelled")

    job = await api.job(waiting)
    assert f"job {running} runs on" in response["message"]
    assert response["draining"]["reason"] == "new driver"
    assert (job["status"], job["position_in_queue"], job["eta_s"]) == ("queued", 0, None)
    assert "the server was drained by" in job["waiting_for"]
    assert job["waiting_for"].endswith("by anonymous: new driver")


async def test_a_resumed_server_starts_waiting_jobs(api: Api) -> None:
    await api.call("POST", "/drain")
    waiting = await api.submit()

    resumed = await api.call("POST", "/resume")
    again = await api.call("POST", "/resume")

    assert (await api.finished(waiting))["status"] == "completed"
    assert resumed == {"message": "The server starts jobs again"}
    assert again == {"message": "The server was not draining; nothing was changed"}


async def test_queue_health_and_metrics_show_a_drain(api: Api) -> None:
    draining = (await api.call("POST", "/drain?reason=why"))["draining"]
    queue, health = await api.call("GET", "/queue"), await api.call("GET", "/health")

    assert queue["draining"] == draining
    assert (health["status"], health["draining"]) == ("healthy", True)
    assert "evalserver_draining 1.0" in await _text(api, "/metrics")

    await api.call("POST", "/resume")
    assert "draining" not in await api.call("GET", "/queue")
    assert "draining" not in await api.call("GET", "/health")
    assert "evalserver_draining 0.0" in await _text(api, "/metrics")


async def test_draining_twice_only_updates_the_reason(api: Api) -> None:
    first = (await api.call("POST", "/drain?reason=one"))["draining"]
    same = (await api.call("POST", "/drain"))["draining"]
    other = (await api.call("POST", "/drain?reason=two"))["draining"]

    assert same == first
    assert other["reason"] == "two"


async def test_a_drain_survives_a_killed_server(server: ServerProcess) -> None:
    async with server:
        running = await server.api.submit(model_args={"seconds": 1})
        await server.api.wait_for_harness(running)
        await server.api.call("POST", "/drain?reason=moving")
        waiting = await server.api.submit()
        server.kill()
        await server.start()

        assert (await server.api.finished(running))["status"] == "completed"
        assert (await server.api.job(waiting))["status"] == "queued"
        assert (await server.api.call("GET", "/queue"))["draining"]["reason"] == "moving"

        await server.api.call("POST", "/resume")
        await server.api.finished(waiting)

    events = server.query("SELECT event || ' by ' || actor FROM server_events ORDER BY event_id")
    assert events == ["drained by anonymous", "resumed by anonymous"]


async def test_prune_keeps_the_newest_finished_jobs(api: Api, data_dir: Path) -> None:
    old, older, newest = [await _finished(api) for _ in range(3)]

    response = await api.call("POST", "/prune?keep=1")

    assert response == {"message": "2 finished jobs were pruned", "pruned": 2}
    await api.call("GET", f"/jobs/{old}", 410)
    await api.call("GET", f"/jobs/{older}", 410)
    await api.call("GET", f"/jobs/{newest}")
    assert not list((data_dir / "runs").glob(f"*{old}*"))
    assert list((data_dir / "runs").glob(f"*{newest}*"))


async def test_prune_removes_jobs_older_than_an_age(api: Api) -> None:
    job_id = await _finished(api)

    kept = await api.call("POST", "/prune?older_than_s=3600")
    pruned = await api.call("POST", "/prune?older_than_s=0")

    assert (kept["pruned"], pruned["pruned"]) == (0, 1)
    await api.call("GET", f"/jobs/{job_id}", 410)


async def test_a_dry_run_of_prune_counts_and_removes_nothing(api: Api) -> None:
    job_id, other = await _finished(api), await _finished(api)

    kept = await api.call("POST", "/prune?keep=1&dry_run=1")
    older = await api.call("POST", "/prune?older_than_s=0&dry_run=1")

    assert kept == {"message": "1 finished job would be pruned", "pruned": 1}
    assert older["pruned"] == 2
    await api.call("GET", f"/jobs/{job_id}")
    await api.call("GET", f"/jobs/{other}")


async def test_a_prune_without_criteria_is_rejected(api: Api) -> None:
    job_id = await _finished(api)

    for query in ("", "?keep=0&older_than_s=0", "?dry_run=1", "?kep=0"):
        await api.call("POST", f"/prune{query}", 422)

    await api.call("GET", f"/jobs/{job_id}")


async def test_pruning_one_job_is_recorded_in_the_audit_log(
    make_api: MakeApi, data_dir: Path
) -> None:
    api = await make_api()
    job_id, other = await _finished(api), await _finished(api)

    await api.call("POST", f"/jobs/{job_id}/prune")

    await api.call("GET", f"/jobs/{job_id}", 410)
    await api.call("POST", f"/jobs/{job_id}/prune", 410)
    await api.call("GET", f"/jobs/{other}")
    with snapshot(data_dir / "evalserver.db") as database:
        [last] = database.execute(
            "SELECT event, actor FROM job_events WHERE job_id = ? ORDER BY event_id DESC LIMIT 1",
            (job_id,),
        )
        assert tuple(last) == ("pruned", "anonymous")
        assert check_database(database).problem is None


async def test_only_finished_jobs_can_be_pruned(api: Api) -> None:
    running = await api.submit(model_args=HANG)
    await api.when(running, "running")
    queued = await api.submit()

    for job_id, status in ((running, "running"), (queued, "queued")):
        problem = await api.call("POST", f"/jobs/{job_id}/prune", 409)
        assert problem["detail"].startswith(f"Job {job_id} is {status}; only a finished job")
        await api.call("GET", f"/jobs/{job_id}")
    await api.call("POST", "/jobs/never-was/prune", 404)


async def test_a_backup_is_intact_and_private_to_the_servers_user(api: Api, data_dir: Path) -> None:
    await _finished(api)

    backup = await api.call("POST", "/backup")

    path = Path(backup["path"])
    assert path.parent == data_dir / "backups"
    assert (stat.S_IMODE(path.stat().st_mode), backup["size"]) == (0o600, path.stat().st_size)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    with snapshot(path) as copy:
        assert check_database(copy).problem is None
        assert copy.execute("SELECT count(*) FROM jobs").fetchone()[0] == backup["jobs"] == 1


async def test_a_failed_backup_reports_the_reason(api: Api, data_dir: Path) -> None:
    (data_dir / "backups").write_text("in the way")

    problem = await api.call("POST", "/backup", 503)

    assert "backups" in problem["detail"]


async def _finished(api: Api) -> str:
    job_id = await api.submit()
    await api.finished(job_id)
    return job_id


async def _text(api: Api, path: str) -> str:
    async with api._session.request("GET", api._base + path) as response:
        return str(await response.text())
