"""Hostile files left by an evaluation: each is reported, and the queue continues."""

from pathlib import Path

from tests.support import Json, ServerProcess

EXPECTED = {
    "fifo as results": ("failed", "_results.json: it is a FIFO, not a regular file"),
    "fifo as samples": ("failed", "_samples_mme.jsonl: it is a FIFO, not a regular file"),
    "zeros as results": ("failed", "_results.json: it is a symbolic link, not a regular file"),
    "nested results": ("failed", "_results.json: its arrays and objects are nested more than 100"),
    "huge results": ("failed", "_results.json: it has more than 16777216 bytes, and is not read"),
    "huge samples": ("failed", "_samples_mme.jsonl: it has 1099511627776 bytes, more than"),
    "long number": ("failed", "_results.json: it has a number of 400 characters"),
    "link as log": ("failed", "eval.log: it is a symbolic link, not a regular file"),
    "fifo as draft of exit": ("completed", ""),
    "fifo as exit": ("completed", ""),
    "folder as exit": ("completed", ""),
    "fifo as job": ("completed", ""),
    "fifo as runner": ("completed", ""),
}


async def test_hostile_files_are_reported_and_the_queue_continues(tmp_path: Path) -> None:
    async with ServerProcess(tmp_path / "data") as server:
        submitted = {what: await server.api.submit(**_leaving(what)) for what in EXPECTED}
        last = await server.api.submit()

        ended = {what: await server.api.finished(job_id) for what, job_id in submitted.items()}
        found = {what: _outcome(job, EXPECTED[what][1]) for what, job in ended.items()}
        assert {**found, "last": (await server.api.finished(last))["status"]} == {
            **EXPECTED,
            "last": "completed",
        }


async def test_a_fifo_does_not_block_the_start_of_a_server(
    tmp_path: Path,
) -> None:
    server = ServerProcess(tmp_path / "data")
    async with server:
        job_id = await server.api.submit(
            model_args={"behave": "leave", "what": "fifo as results", "seconds": 2}
        )
        await server.api.wait_for_harness(job_id)
        server.stop()
        await server.start()

        assert "it is a FIFO" in (await server.api.finished(job_id))["error"]


async def test_the_target_of_a_link_is_not_disclosed(tmp_path: Path) -> None:
    async with ServerProcess(tmp_path / "data") as server:
        job_id = await server.api.submit(**_leaving("link as log"))

        assert "root:" not in (await server.api.finished(job_id))["error"]


def _leaving(what: str) -> Json:
    code = 1 if what == "link as log" else 0
    return {"model_args": {"behave": "leave", "what": what, "code": code}, "log_samples": True}


def _outcome(job: Json, words: str) -> tuple[str, str]:
    """The job's status, and the expected words if its error contains them, else the whole error."""
    error = job["error"] or ""
    return job["status"], words if words in error and "evalserver itself" not in error else error
