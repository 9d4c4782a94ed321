"""``evalserver audit``: verify the log, and show a job's history."""

import asyncio
import json
from pathlib import Path

import pytest

from evalserver.core.job import NewJob, Outcome
from evalserver.core.job_id import short_job_id
from evalserver.core.lifecycle import Status
from evalserver.core.request import EvaluateRequest
from evalserver.store import DATABASE_NAME, Store, back_up
from tests.cli.commands import assert_fails, data_dir_option, evalserver, run_evalserver
from tests.store.test_audit_log import tamper
from tests.store.test_jobs import PLENTY, complete, start, submit
from tests.store.test_migrate import change, rows
from tests.support import ServerProcess

READING = [("audit", "verify"), ("audit", "show", "JOB"), ("db", "check"), ("db", "info")]
"""Every command that reads a database."""


async def test_an_intact_log_is_reported_with_its_newest_hash(store: Store, tmp_path: Path) -> None:
    await complete(store)

    result = evalserver("audit", "verify", *data_dir_option(tmp_path))

    [(newest,)] = rows(tmp_path, "SELECT hash FROM job_events WHERE event_id = 3")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "3 events lead to the states of 1 jobs" in result.stdout
    assert newest in result.stdout


async def test_the_first_invalid_row_is_one_line_on_stderr(store: Store, tmp_path: Path) -> None:
    job_id = await complete(store)
    tamper(tmp_path, "UPDATE job_events SET actor = 'eve' WHERE event_id = 2")

    result = evalserver("audit", "verify", *data_dir_option(tmp_path))

    assert_fails(result, f"event 2 (claimed, job {job_id}): its hash does not match its content")


async def test_the_result_is_available_as_json(store: Store, tmp_path: Path) -> None:
    await complete(store)

    result = evalserver("audit", "verify", "--json", *data_dir_option(tmp_path))

    found = json.loads(result.stdout)
    assert (found["ok"], found["events"], found["jobs"], found["problem"]) == (True, 3, 1, None)


async def test_the_first_invalid_row_is_available_as_json(store: Store, tmp_path: Path) -> None:
    job_id = await complete(store)
    tamper(tmp_path, "DELETE FROM job_events WHERE event_id = 3")

    result = evalserver("audit", "verify", "--json", *data_dir_option(tmp_path))

    found = json.loads(result.stdout)
    assert result.exit_code == 1
    assert (found["ok"], found["events"], found["problem"]["event_id"]) == (False, 2, 3)
    assert job_id not in result.stdout, "the event that is missing cannot tell its job"


async def test_a_history_is_a_table(store: Store, tmp_path: Path) -> None:
    job_id = await start(store, labels={"team": "vision"})
    await store.jobs.interrupt(job_id, "the runner vanished")

    result = evalserver("audit", "show", job_id, *data_dir_option(tmp_path))

    lines = result.stdout.splitlines()
    assert lines[0] == f"Job {job_id}"
    assert "  labels        team=vision" in lines
    table = lines[lines.index("") + 1 :]
    assert table[0].split() == ["event", "at", "who", "what", "from", "to", "attempt", "detail"]
    assert table[1].split()[2:] == ["alice", "submitted", "queued", "0"]
    assert table[3].split(maxsplit=7)[2:] == [
        "server", "interrupted", "running", "queued", "1", "reason=the runner vanished"
    ]  # fmt: skip
    columns = [table[0].index("what"), table[0].index("detail")]
    assert table[3][columns[0] :].startswith("interrupted")
    assert table[3][columns[1] :].startswith("reason=")


async def test_a_pruned_job_still_has_its_history(store: Store, tmp_path: Path) -> None:
    job_id = await complete(store, keep=0)

    result = evalserver("audit", "show", job_id, *data_dir_option(tmp_path))

    assert "was pruned; its events are kept" in result.stdout
    assert [line.split()[3] for line in result.stdout.splitlines()[-4:]] == [
        "submitted", "claimed", "completed", "pruned"
    ]  # fmt: skip


async def test_a_history_is_available_as_json(store: Store, tmp_path: Path) -> None:
    job_id = await complete(store)

    result = evalserver("audit", "show", "--json", job_id, *data_dir_option(tmp_path))

    history = json.loads(result.stdout)
    assert (history["job_id"], history["record"]["status"]) == (job_id, "completed")
    assert history["events"][1]["detail"] == {"run_dir": "run-1"}


async def test_an_id_prefix_selects_a_job(store: Store, tmp_path: Path) -> None:
    job_id = await complete(store)

    result = evalserver("audit", "show", job_id[:-2].upper(), *data_dir_option(tmp_path))

    assert result.stdout.startswith(f"Job {job_id}\n")


async def test_the_end_of_an_id_selects_a_job(store: Store, tmp_path: Path) -> None:
    job_id = await complete(store)
    await complete(store)

    result = evalserver("audit", "show", short_job_id(job_id), *data_dir_option(tmp_path))

    assert result.stdout.startswith(f"Job {job_id}\n")


async def test_an_ambiguous_prefix_is_an_error_that_lists_the_ids(
    store: Store, tmp_path: Path
) -> None:
    twins = [f"{'a' * 8}-0000-4000-8000-00000000000{number}" for number in (1, 2)]
    for twin in twins:
        request = EvaluateRequest(model="dummy", tasks=("mme",))
        await store.jobs.submit(NewJob(twin, "lmms_eval", request, "alice"))

    result = evalserver("audit", "show", "aaaa", *data_dir_option(tmp_path))

    assert_fails(result, f"The ids of several jobs begin or end with 'aaaa': {', '.join(twins)}")


async def test_an_unknown_job_is_an_error(store: Store, tmp_path: Path) -> None:
    result = evalserver("audit", "show", "ghost", *data_dir_option(tmp_path))

    assert_fails(result, "Job ghost not found: the audit log has no event of it")


async def test_harness_output_cannot_control_the_terminal(store: Store, tmp_path: Path) -> None:
    job_id = await start(store)
    error = "\x1b[2J\x9b31mbad\u202egood\nsecond line"
    outcome = Outcome(Status.FAILED, "2030-01-01T00:00:00.000+00:00", 1, error)
    await store.jobs.finish(job_id, outcome, PLENTY)

    result = evalserver("audit", "show", job_id, *data_dir_option(tmp_path))

    assert r"\x1b[2J\x9b31mbad\u202egood\nsecond line" in result.stdout
    assert all(line.isprintable() for line in result.stdout.splitlines())


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_a_data_directory_without_a_database_is_a_one_line_error(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    result = evalserver(*command, *data_dir_option(tmp_path / "data"))

    assert_fails(result, f"there is no database at {tmp_path}/data/evalserver.db")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_a_database_of_another_program_is_a_one_line_error(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    change(tmp_path / "other.db", "CREATE TABLE recipes (name TEXT)")

    result = evalserver(*command, "--database", tmp_path / "other.db")

    assert_fails(result, f"{tmp_path}/other.db is not an evalserver database")


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_a_backup_can_be_read_instead_of_the_database(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    job_id = asyncio.run(_make_backup(tmp_path))
    words = [job_id if word == "JOB" else word for word in command]

    result = evalserver(*words, "--database", tmp_path / "copy.db")

    assert (result.exit_code, result.stderr) == (0, "")


async def test_database_and_data_dir_are_mutually_exclusive(tmp_path: Path) -> None:
    result = evalserver(
        "audit", "verify", *data_dir_option(tmp_path), "--database", tmp_path / "copy.db"
    )

    assert result.exit_code == 2
    assert "--database and --data-dir exclude each other" in result.stderr


async def test_the_database_is_located_as_the_server_locates_it(
    store: Store, tmp_path: Path
) -> None:
    await submit(store)
    config = tmp_path / "settings.toml"
    config.write_text(f'data_dir = "{tmp_path}"\nport = 9000\n')

    by_variable = evalserver("audit", "verify", EVALSERVER_DATA_DIR=str(tmp_path))
    by_file = evalserver("audit", "verify", "--config", config)
    by_default = evalserver("audit", "verify", HOME=str(tmp_path))

    assert (by_variable.exit_code, by_file.exit_code) == (0, 0)
    assert_fails(by_default, f"{tmp_path}/.local/share/evalserver/evalserver.db")


def test_a_bad_setting_is_a_usage_error() -> None:
    result = evalserver("audit", "verify", EVALSERVER_PORT="many")

    assert result.exit_code == 2
    assert "EVALSERVER_PORT must be an integer" in result.stderr


async def test_verifying_next_to_a_busy_server_reports_no_false_alarm(
    server: ServerProcess,
) -> None:
    async with server:
        jobs = [await server.api.submit(model_args={"name": str(n)}) for n in range(5)]
        ended = asyncio.gather(*(server.api.finished(job_id) for job_id in jobs))
        verdicts = []
        while not ended.done():
            verdicts.append(await asyncio.to_thread(_verify, server.data_dir))
        await ended
        last = await asyncio.to_thread(_verify, server.data_dir)
        server.stop()

        assert await asyncio.to_thread(_verify, server.data_dir) == last
    assert verdicts
    assert {verdict["problem"] for verdict in [*verdicts, last]} == {None}
    assert last["events"] == 5 * 3


def _verify(folder: Path) -> dict[str, object]:
    process = run_evalserver("audit", "verify", "--json", *data_dir_option(folder))
    found: dict[str, object] = json.loads(process.stdout)
    return found


async def _make_backup(folder: Path) -> str:
    store = await Store.open(folder)
    job_id = await complete(store)
    await store.close()
    back_up(folder / DATABASE_NAME, folder / "copy.db")
    return job_id
