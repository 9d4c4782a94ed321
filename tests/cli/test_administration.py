"""``evalserver drain``, ``resume``, ``prune``, ``erase`` and ``catalog`` in a shell."""

import pytest

from tests.cli.shell import Shell
from tests.support import ServerProcess


async def test_a_drained_server_says_why_no_job_starts_until_it_is_resumed(
    server: ServerProcess,
) -> None:
    async with server:
        shell = Shell(server.url)
        drained = shell.stdout_of("drain", "--reason", "new driver")
        waiting = shell.submit()

        assert drained.startswith("The server is draining: it starts nothing new")
        assert "by anonymous: new driver" in shell.run("queue").stderr
        assert "draining    yes" in shell.stdout_of("health")
        assert (
            "the server was drained by anonymous: new driver"
            in shell.json("status", waiting)["waiting_for"]
        )

        assert shell.stdout_of("resume") == "The server starts jobs again\n"
        assert shell.run("wait", waiting).returncode == 0
        assert "raining" not in shell.run("queue").stderr


async def test_finished_jobs_are_pruned_by_name_number_or_age(server: ServerProcess) -> None:
    async with server:
        shell = Shell(server.url)
        one, two, three, four = [shell.submit_and_wait() for _ in range(4)]

        assert shell.stdout_of("prune", one[:14], "--yes") == f"Job {one} was pruned\n"
        asked = shell.run("prune", "--keep", 1)
        assert "Remove 2 jobs with all files: all finished jobs but the newest 1?" in asked.stderr
        assert shell.json("prune", "--keep", 2, "--yes") == {
            "message": "1 finished job was pruned",
            "pruned": 1,
        }
        assert [job["job_id"] for job in shell.json("jobs")] == [four, three]
        assert shell.stdout_of("prune", "-y", "--older-than", "30d") == (
            "0 finished jobs were pruned\n"
        )
        assert shell.stdout_of("prune", "-y", "--older-than", "0") == (
            "2 finished jobs were pruned\n"
        )
        assert f"Job {two} finished and was pruned" in shell.run("status", two).stderr


async def test_jobs_that_cannot_be_pruned_are_reported_and_the_others_are_pruned(
    server: ServerProcess,
) -> None:
    async with server:
        shell = Shell(server.url)
        done, running = shell.submit_and_wait(), shell.submit("-a", "behave=hang")

        tried = shell.run("prune", "--yes", running, done)

    assert tried.returncode == 2
    assert tried.stdout == f"Job {done} was pruned\n"
    assert f"Error: Job {running} is " in tried.stderr


async def test_a_job_is_erased_also_after_it_was_pruned(server: ServerProcess) -> None:
    async with server:
        shell = Shell(server.url)
        job_id = shell.submit_and_wait()
        shell.run("prune", "--yes", job_id)

        assert shell.stdout_of("erase", job_id) == f"Job {job_id} was erased\n"
        assert f"Job {job_id} finished and was pruned" in shell.run("results", job_id).stderr


@pytest.mark.parametrize("words", ["", "--keep 1 --older-than 1d", "15fc --keep 1", "--keep -1"])
def test_a_prune_with_invalid_arguments_is_rejected(words: str) -> None:
    done = Shell("http://127.0.0.1:1").run("prune", *words.split())

    assert done.returncode == 2
    assert "Error" in done.stderr


async def test_a_refresh_of_the_catalog_shows_what_was_found(server: ServerProcess) -> None:
    async with server:
        shell = Shell(server.url)
        line = shell.stdout_of("catalog", "refresh", "--engine", "lmms_eval")
        [found] = shell.json("catalog", "refresh", "--engine", "lmms_eval")
        failed = shell.run("catalog", "refresh", "--engine", "inspect")

    assert line.startswith("lmms_eval 0.0.0: 2 tasks, 1 model, ")
    assert (found["tasks"], found["error"]) == (2, None)
    assert failed.returncode == 1
    assert "inspect-ai is not installed" in failed.stdout
