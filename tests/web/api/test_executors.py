"""``GET /executors``, its command and client: a real server without clusters."""

import asyncio
from pathlib import Path

from tests.cli.shell import Shell
from tests.support import ServerProcess


async def test_the_own_machine_is_listed_with_what_runs_there(data_dir: Path) -> None:
    async with ServerProcess(data_dir) as server:
        job_id = await server.api.submit(model_args={"behave": "hang"})
        await server.api.when(job_id, "running")

        [local] = (await server.api.call("GET", "/executors"))["executors"]

        await server.api.call("DELETE", f"/jobs/{job_id}")
        await server.api.finished(job_id)
    assert (local["name"], local["type"], local["fault"], local["nodes"]) == (
        "local",
        "local",
        None,
        [],
    )
    assert [(job["job_id"], job["status"]) for job in local["jobs"]] == [(job_id, "running")]


async def test_the_command_shows_the_same(data_dir: Path) -> None:
    async with ServerProcess(data_dir) as server:
        done = await asyncio.to_thread(Shell(server.url).run, "executors")

    assert done.stdout.splitlines()[1].split()[:3] == ["local", "local", "0"]
