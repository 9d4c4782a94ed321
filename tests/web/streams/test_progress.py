"""A job's progress as clients see it, from the fake harness's progress bars."""

from pathlib import Path

from evalserver.monitoring.progress import Progress
from evalserver.web.keys import PROGRESS
from tests.support import Api, Json, ServerProcess, until


def bar_args(gate: Path) -> Json:
    """Return arguments for an evaluation that draws a bar to 4 of 8 and waits for the gate file."""
    return {"behave": "bars", "gate": str(gate)}


async def wait_until_halfway(api: Api, job_id: str) -> Json:
    """Wait until the job's bar is half drawn; return its progress."""

    async def reached() -> Json | None:
        progress = (await api.job(job_id))["progress"]
        return progress if progress and progress["done"] == 4 else None

    found: Json = await until(reached)
    return found


async def test_a_running_job_shows_its_progress(api: Api, tmp_path: Path) -> None:
    job_id = await api.submit(model_args=bar_args(tmp_path / "gate"))

    assert await wait_until_halfway(api, job_id) == {
        "stage": "Model Responding",
        "fraction": 0.5,
        "done": 4,
        "total": 8,
        "rate": 1.0,
        "eta_s": 4.0,
    }


async def test_an_evaluation_without_output_is_starting(api: Api) -> None:
    job_id = await api.submit(model_args={"behave": "hang"})

    async def progress() -> Json | None:
        found: Json | None = (await api.job(job_id))["progress"]
        return found

    assert (await until(progress))["stage"] == "starting"


async def test_an_ended_job_has_no_progress(api: Api, tmp_path: Path) -> None:
    job_id = await api.submit(model_args=bar_args(tmp_path / "gate"))
    await wait_until_halfway(api, job_id)
    (tmp_path / "gate").touch()

    assert (await api.finished(job_id))["progress"] is None


async def test_a_cancelled_job_has_no_progress(api: Api, tmp_path: Path) -> None:
    job_id = await api.submit(model_args=bar_args(tmp_path / "gate"))
    await wait_until_halfway(api, job_id)
    await api.call("DELETE", f"/jobs/{job_id}")

    assert (await api.finished(job_id))["progress"] is None


async def test_an_ended_job_has_no_progress_even_before_the_board_is_notified(
    api: Api,
) -> None:
    job_id = await api.submit()
    await api.finished(job_id)
    api._session.app[PROGRESS].update(job_id, Progress("Model Responding"))

    assert (await api.job(job_id))["progress"] is None


async def test_progress_continues_after_the_server_was_killed(
    server: ServerProcess, tmp_path: Path
) -> None:
    async with server:
        job_id = await server.api.submit(model_args=bar_args(tmp_path / "gate"))
        before = await wait_until_halfway(server.api, job_id)

        server.kill()
        await server.start()

        assert await wait_until_halfway(server.api, job_id) == before
        (tmp_path / "gate").touch()
        assert (await server.api.finished(job_id))["status"] == "completed"


async def test_a_hundred_megabytes_without_a_bar_report_no_stage(api: Api) -> None:
    job_id = await api.submit(model_args={"behave": "flood", "megabytes": 100})

    stages = set()

    async def ended() -> bool:
        job = await api.job(job_id)
        stages.add((job["progress"] or {"stage": None})["stage"])
        return bool(job["status"] == "completed")

    await until(ended)

    assert stages <= {None, "starting", "running"}
