"""Commands for many jobs: by id, label, series or batch, with a question."""

import csv
import re
from pathlib import Path

import pytest

from evalserver.cli.connection import UUID_LENGTH
from evalserver.cli.exit_codes import ExitCode
from tests.cli.shell import Shell
from tests.cli.terminal import Terminal
from tests.support import ServerProcess

SWEEP = ("-m", "dummy", "-t", "mme", "--sweep", "model_args.value=0.25,0.75")
CRASH = ("-m", "dummy", "-t", "mme", "-a", "behave=crash", "--sweep", "labels.n=1,2")


def submit(shell: Shell, *arguments: str) -> tuple[str, list[str]]:
    """Submit a batch; returns its id, and those of its jobs."""
    answer = shell.json("submit", *arguments)
    return answer["batch_id"], answer["job_ids"]


def at(server: ServerProcess) -> dict[str, str]:
    """Return the environment of a command for this server."""
    return {"EVALSERVER_URL": server.url}


def statuses(shell: Shell) -> set[str]:
    """Return the statuses of all jobs."""
    return {job["status"] for job in shell.json("jobs", "--all")}


async def test_ids_are_listed_for_other_programs(server: ServerProcess) -> None:
    async with server:
        shell = Shell(server.url)
        batch_id, job_ids = submit(shell, *SWEEP)
        shell.submit()

        listed = shell.stdout_of("jobs", "-q", "--batch", batch_id)

    assert listed.splitlines() == job_ids[::-1]


async def test_no_ids_are_an_empty_output(server: ServerProcess) -> None:
    async with server:
        assert Shell(server.url).stdout_of("jobs", "-q") == ""


@pytest.mark.parametrize(
    "chosen",
    [("--label", "run=a"), ("--series", "s"), ("--batch", "BATCH")],
    ids=lambda one: one[0],
)
async def test_jobs_are_cancelled_by_what_they_have_in_common(
    server: ServerProcess, chosen: tuple[str, str]
) -> None:
    async with server:
        shell = Shell(server.url)
        shell.stdout_of("drain")
        other = shell.submit()
        batch_id, job_ids = submit(shell, *SWEEP, "-l", "run=a", "-l", "series=s")
        option, value = chosen

        shell.stdout_of("cancel", option, value.replace("BATCH", batch_id), "--yes")

        found = {job["job_id"]: job["status"] for job in shell.json("jobs")}

    assert found == {other: "queued", **dict.fromkeys(job_ids, "cancelled")}


async def test_a_cancelled_batch_says_what_happened(server: ServerProcess) -> None:
    async with server:
        shell = Shell(server.url)
        shell.stdout_of("drain")
        batch_id, _ = submit(shell, *SWEEP)

        said = shell.stdout_of("cancel", "--batch", batch_id, "--yes")

    assert said == f"Batch {batch_id}: 2 jobs cancelled, 0 being stopped, 0 had finished\n"


async def test_without_a_terminal_and_without_yes_nothing_is_changed(server: ServerProcess) -> None:
    async with server:
        shell = Shell(server.url)
        shell.stdout_of("drain")
        batch_id, _ = submit(shell, *SWEEP)

        refused = shell.run("cancel", "--batch", batch_id)

        assert refused.returncode == ExitCode.USAGE
        assert "Cancel 2 jobs? There is no terminal to answer on; add --yes" in refused.stderr
        assert statuses(shell) == {"queued"}


@pytest.mark.parametrize(("said", "status"), [("y", "cancelled"), ("n", "queued")])
async def test_a_terminal_is_asked(server: ServerProcess, said: str, status: str) -> None:
    async with server:
        shell = Shell(server.url)
        shell.stdout_of("drain")
        batch_id, _ = submit(shell, *SWEEP)
        with Terminal("cancel", "--batch", batch_id, environment=at(server)) as terminal:
            terminal.until("Cancel 2 jobs? [y/N]")
            terminal.type(said)
            terminal.end()

        assert statuses(shell) == {status}


async def test_jobs_named_by_id_are_cancelled_without_a_question(server: ServerProcess) -> None:
    async with server:
        shell = Shell(server.url)
        shell.stdout_of("drain")
        _, job_ids = submit(shell, *SWEEP)

        shell.stdout_of("cancel", *(job_id[-8:] for job_id in job_ids))

        assert statuses(shell) == {"cancelled"}


async def test_failed_jobs_of_a_batch_are_retried(server: ServerProcess) -> None:
    async with server:
        shell = Shell(server.url)
        batch_id, job_ids = submit(shell, *CRASH)
        assert shell.run("wait", "--batch", batch_id).returncode == ExitCode.JOB_FAILED
        shell.stdout_of("drain")

        retried = shell.stdout_of("retry", "--batch", batch_id, "--yes").split()

        assert retried == job_ids
        assert statuses(shell) == {"queued"}


async def test_several_jobs_are_retried_by_id(server: ServerProcess) -> None:
    async with server:
        shell = Shell(server.url)
        batch_id, job_ids = submit(shell, *CRASH)
        shell.run("wait", "--batch", batch_id)

        assert shell.stdout_of("retry", *job_ids).split() == job_ids


async def test_waiting_for_a_batch_counts_how_its_jobs_ended(server: ServerProcess) -> None:
    async with server:
        shell = Shell(server.url)
        batch_id, _ = submit(shell, *SWEEP)

        waited = shell.run("wait", "--batch", batch_id)

    assert (waited.returncode, waited.stdout) == (ExitCode.DONE, "2 completed\n")


async def test_waiting_for_jobs_with_a_label_shows_their_metrics(server: ServerProcess) -> None:
    async with server:
        shell = Shell(server.url)
        submit(shell, *SWEEP, "-l", "run=a")

        waited = shell.stdout_of("wait", "--label", "run=a")

    assert ("0.25" in waited, "0.75" in waited) == (True, True)


async def test_a_filter_that_matches_nothing_is_an_error(server: ServerProcess) -> None:
    async with server:
        result = Shell(server.url).run("cancel", "--label", "run=a", "--yes")

    assert result.returncode == ExitCode.USAGE
    assert "no job matches" in result.stderr


@pytest.mark.parametrize("words", ["", "abcd --label a=b", "abcd --batch b"])
@pytest.mark.parametrize("command", ["cancel", "retry", "wait"])
def test_jobs_are_given_by_id_or_by_filter(command: str, words: str) -> None:
    result = Shell("http://127.0.0.1:1").run(command, *words.split())

    assert result.returncode == ExitCode.USAGE
    assert "Give JOB..., or else --label, --series or --batch." in result.stderr


async def test_pruning_asks_before_it_deletes(server: ServerProcess) -> None:
    async with server:
        shell = Shell(server.url)
        job_id = shell.submit_and_wait()

        refused = shell.run("prune", "--keep", "0")

        assert refused.returncode == ExitCode.USAGE
        assert "Remove 1 job with all files: all finished jobs but the newest 0?" in refused.stderr
        assert [job["job_id"] for job in shell.json("jobs")] == [job_id]


def ids_shown(terminal: Terminal) -> list[str]:
    """Return the ids that a command has printed."""
    return [word for word in terminal.written.decode().split() if len(word) == UUID_LENGTH]


async def cancelled_jobs(server: ServerProcess, count: int) -> list[str]:
    """Make cancelled jobs with the label ``run=a`` on a server that starts none; return the ids."""
    await server.api.call("POST", "/drain")
    job = {"model": "dummy", "tasks": ["mme"], "labels": {"run": "a"}}
    batch = await server.api.call("POST", "/batches", json={"jobs": [job] * count})
    await server.api.call("DELETE", f"/batches/{batch['batch_id']}")
    return list(batch["job_ids"])


async def test_an_interrupted_command_shows_how_far_it_came(tmp_path: Path) -> None:
    async with ServerProcess(tmp_path / "data", "--max-completed-jobs", "1000") as server:
        job_ids = await cancelled_jobs(server, 1000)
        with Terminal("retry", "--label", "run=a", "--yes", environment=at(server)) as terminal:
            terminal.until(job_ids[0])
            terminal.press_ctrl_c()
            code = terminal.end()
        queued = (await server.api.call("GET", "/queue"))["queued_jobs"]

    shown = ids_shown(terminal)
    counted = re.search(r"stopped after (\d+) of 1000 jobs; run the command", terminal.screen())
    assert code == ExitCode.INTERRUPTED
    assert shown == job_ids[: len(shown)]
    assert counted is not None
    # The interrupt may come while a job is changed, or before it is shown.
    assert len(shown) <= int(counted[1]) <= len(queued) <= len(shown) + 1 < 1000


async def test_a_command_stops_at_a_server_that_is_gone(tmp_path: Path) -> None:
    async with ServerProcess(tmp_path / "data", "--max-completed-jobs", "1000") as server:
        job_ids = await cancelled_jobs(server, 1000)
        words = ("retry", "--label", "run=a", "--yes", "--retry-for", "0")
        with Terminal(*words, environment=at(server), columns=200) as terminal:
            terminal.until(job_ids[0])
            server.kill()
            code = terminal.end()

    stopped = f"stopped after {len(ids_shown(terminal))} of 1000 jobs; run the command again"
    assert code == ExitCode.UNREACHABLE
    assert stopped in terminal.screen()


async def test_jobs_that_finished_during_the_question_are_no_error(server: ServerProcess) -> None:
    async with server:
        shell = Shell(server.url)
        shell.stdout_of("drain")
        _, job_ids = submit(shell, *SWEEP, "-l", "run=a")
        with Terminal("cancel", "--label", "run=a", environment=at(server)) as terminal:
            terminal.until("Cancel 2 jobs? [y/N]")
            shell.stdout_of("cancel", job_ids[0])
            terminal.type("y")
            code = terminal.end()

        assert code == ExitCode.DONE
        assert "has already finished; there is nothing to cancel" in terminal.screen()
        assert statuses(shell) == {"cancelled"}


async def test_jobs_submitted_during_the_question_are_left(server: ServerProcess) -> None:
    async with server:
        shell = Shell(server.url)
        shell.stdout_of("drain")
        submit(shell, *SWEEP, "-l", "run=a")
        with Terminal("cancel", "--label", "run=a", environment=at(server)) as terminal:
            terminal.until("Cancel 2 jobs? [y/N]")
            late = shell.submit("-l", "run=a")
            terminal.type("y")
            terminal.end()

        assert shell.json("status", late)["status"] == "queued"


async def test_ctrl_c_at_the_question_changes_nothing(server: ServerProcess) -> None:
    async with server:
        shell = Shell(server.url)
        shell.stdout_of("drain")
        submit(shell, *SWEEP, "-l", "run=a")
        with Terminal("cancel", "--label", "run=a", environment=at(server)) as terminal:
            terminal.until("Cancel 2 jobs? [y/N]")
            terminal.press_ctrl_c()
            code = terminal.end()

        assert (code, statuses(shell)) == (ExitCode.INTERRUPTED, {"queued"})
        assert "nothing was changed" in terminal.screen()


@pytest.mark.parametrize(
    ("given", "named"),
    [(("--label", "run=a b"), "--label 'run=a b'"), (("--series", "s"), "--series s")],
    ids=["label", "series"],
)
async def test_a_wait_that_ends_early_names_the_filter_and_not_every_job(
    server: ServerProcess, given: tuple[str, str], named: str
) -> None:
    async with server:
        shell = Shell(server.url)
        shell.stdout_of("drain")
        submit(shell, *SWEEP, "-l", "run=a b", "-l", "series=s")

        waited = shell.run("wait", *given, "--timeout", "1")

    assert waited.returncode == ExitCode.TIMED_OUT
    assert waited.stderr.endswith(f"wait again with: evalserver wait {named}\n")


async def test_waiting_for_many_jobs_says_how_many_they_are(server: ServerProcess) -> None:
    async with server:
        shell = Shell(server.url)
        submit(shell, *SWEEP, "-l", "run=a")

        waited = shell.run("wait", "--label", "run=a")

    assert waited.stderr.startswith("Waiting for 2 jobs\n")


@pytest.mark.parametrize("part", [slice(-8, None), slice(0, 14)], ids=["end", "beginning"])
async def test_a_batch_is_named_by_a_part_of_its_id(server: ServerProcess, part: slice) -> None:
    async with server:
        shell = Shell(server.url)
        shell.stdout_of("drain")
        batch_id, job_ids = submit(shell, *SWEEP)

        listed = shell.stdout_of("jobs", "-q", "--batch", batch_id[part])
        shell.stdout_of("cancel", "--batch", batch_id[part], "--yes")
        waited = shell.run("wait", "--batch", batch_id[part])

    assert listed.split() == job_ids[::-1]
    assert (waited.returncode, waited.stdout) == (ExitCode.CANCELLED, "2 cancelled\n")


async def test_a_part_that_several_batches_have_is_an_error_that_lists_them(
    server: ServerProcess,
) -> None:
    async with server:
        shell = Shell(server.url)
        batches = [submit(shell, *SWEEP)[0] for _ in range(2)]

        result = shell.run("jobs", "--batch", batches[0][:4])

    assert result.returncode == ExitCode.USAGE
    assert f"2 batches have an id that begins or ends with '{batches[0][:4]}'" in result.stderr
    assert result.stderr.index(batches[1]) < result.stderr.index(batches[0])


@pytest.mark.parametrize(
    ("given", "reason"),
    [("", "'' is no batch"), ("beef", "no batch has an id"), ("x" * 36, "not found")],
)
async def test_a_batch_that_does_not_exist_is_an_error(
    server: ServerProcess, given: str, reason: str
) -> None:
    async with server:
        result = Shell(server.url).run("cancel", "--yes", "--batch", given)

    assert result.returncode == ExitCode.USAGE
    assert reason in result.stderr


async def test_a_batch_without_such_jobs_says_which_it_has(server: ServerProcess) -> None:
    async with server:
        shell = Shell(server.url)
        batch_id, _ = submit(shell, *SWEEP)
        shell.stdout_of("wait", "--batch", batch_id)
        shell.stdout_of("prune", "--keep", "1", "--yes")

        result = shell.run("retry", "--batch", batch_id, "--yes")

    assert "no job that is failed or cancelled: 2 completed, 1 of them pruned" in result.stderr


async def test_a_job_names_its_batch(server: ServerProcess) -> None:
    async with server:
        shell = Shell(server.url)
        batch_id, job_ids = submit(shell, *SWEEP)

        shown = shell.stdout_of("status", job_ids[0])

    assert ["batch", batch_id] in [line.split() for line in shown.splitlines()]


async def test_the_jobs_of_a_batch_are_compared_and_exported(server: ServerProcess) -> None:
    async with server:
        shell = Shell(server.url)
        batch_id, job_ids = submit(shell, *SWEEP, "-l", "run=a")
        shell.stdout_of("wait", "--batch", batch_id)
        end = batch_id[-8:]

        compared = shell.json("compare", "--batch", end)
        table = shell.stdout_of("results", "--batch", end).splitlines()
        exported = list(
            csv.DictReader(shell.stdout_of("results", "--batch", end, "--csv").splitlines())
        )

    assert [job["job_id"] for job in compared["jobs"]] == job_ids
    assert [line.split()[:2] for line in table[1:]] == [
        [each[-8:], "completed"] for each in job_ids
    ]
    assert [(row["job_id"], row["labels"], row["value"]) for row in exported] == [
        (job_ids[0], "model_args.value=0.25 run=a", "0.25"),
        (job_ids[1], "model_args.value=0.75 run=a", "0.75"),
    ]  # fmt: skip


@pytest.mark.parametrize("words", ["results", "results abcd --batch b", "compare ab cd --batch b"])
def test_results_and_comparisons_are_of_jobs_or_of_a_batch(words: str) -> None:
    result = Shell("http://127.0.0.1:1").run(*words.split())

    assert result.returncode == ExitCode.USAGE
    assert "or else --batch." in result.stderr


async def test_a_rejected_batch_leaves_no_doubt_that_nothing_was_queued(
    server: ServerProcess,
) -> None:
    async with server:
        result = Shell(server.url).run("submit", *SWEEP[:4], "--sweep", "limit=1,0")

    assert "nothing was changed" in result.stderr
    assert "--idempotency-key" not in result.stderr
