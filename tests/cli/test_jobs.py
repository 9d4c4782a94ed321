"""Finding jobs in a shell, and protecting the terminal from untrusted text."""

from datetime import UTC, datetime, timedelta

import pytest

from evalserver.cli.jobs import SORT_KEYS
from evalserver.cli.logs import _remove_control_sequences
from tests.cli.shell import Shell
from tests.cli.terminal import Terminal
from tests.support import Api, ServerProcess

EVIL = "\x1b]0;owned\x07\x1b[2J[red]x[/red]\r\n"


async def test_a_job_is_found_by_an_id_prefix(server: ServerProcess) -> None:
    async with server:
        shell = Shell(server.url)
        job = shell.submit()

        assert shell.json("status", job[:14].upper())["job_id"] == job


@pytest.mark.parametrize("length", [4, 8, 12])
async def test_a_job_is_found_by_the_end_of_its_id(server: ServerProcess, length: int) -> None:
    async with server:
        shell = Shell(server.url)
        job = shell.submit()

        assert shell.json("status", job[-length:])["job_id"] == job


async def test_a_job_of_a_table_is_found_by_what_the_table_shows(server: ServerProcess) -> None:
    async with server:
        shell = Shell(server.url)
        jobs = [shell.submit() for _ in range(3)]
        shown = [line.split()[0] for line in shell.stdout_of("jobs").splitlines()[1:]]

        assert [shell.json("status", each)["job_id"] for each in shown] == jobs[::-1]


async def test_an_ambiguous_part_finds_no_job_and_lists_the_candidates(
    server: ServerProcess,
) -> None:
    async with server:
        shell = Shell(server.url)
        await server.api.call("POST", "/drain")
        jobs = [shell.submit("-a", f"pretrained=org/{name}") for name in ("one", "two")]

        result = shell.run("cancel", jobs[0][:4])

    assert result.returncode == 2
    assert result.stderr == (
        f"Error: 2 jobs have an id that begins or ends with '{jobs[0][:4]}'; give more of one of"
        " these, the newest first:\n"
        f"  {jobs[1]}  queued  org/two  mme\n"
        f"  {jobs[0]}  queued  org/one  mme\n"
    )


@pytest.mark.parametrize("part", ["", "abc", "nonsense", "%"])
async def test_what_is_no_part_of_an_id_is_an_error_that_says_what_is(
    server: ServerProcess, part: str
) -> None:
    async with server:
        result = Shell(server.url).run("status", part)

    assert result.returncode == 2
    assert "at least 4 characters of its beginning or end" in result.stderr


async def test_jobs_are_filtered_by_the_checkpoint_that_the_table_shows(
    server: ServerProcess,
) -> None:
    async with server:
        shell = Shell(server.url)
        wanted = shell.submit("-a", "pretrained=org/one")
        shell.submit("-a", "pretrained=org/two")
        shown = shell.stdout_of("jobs", "--model", "org/one")

    assert wanted[-8:] in shown
    assert "org/one" in shown
    assert "org/two" not in shown


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ("--status completed", 1),
        ("--status queued,running -s failed", 0),
        ("--model dummy --task mme --engine lmms_eval", 1),
        ("--task ai2d", 0),
        ("--search umm --sort -duration", 1),
        ("--search nobody --sort model", 0),
        ("--label run=7b", 1),
        ("--label run=7b -l x=y", 0),
        ("--series 7b-run3 --step 0 --sort step", 1),
        ("--series 7b-run3 --step 1", 0),
        ("--series 7b", 0),
        ("--submitted-by nobody", 0),
        ("--since 1h", 1),
        ("--before 1h", 0),
        ("--since 2000-01-01 --before 2999-01-01", 1),
    ],
)
async def test_jobs_are_filtered(server: ServerProcess, options: str, found: int) -> None:
    async with server:
        shell = Shell(server.url)
        shell.submit_and_wait("-l", "run=7b", "--series", "7b-run3", "--step", "0")

        assert len(shell.json("jobs", *options.split())) == found


async def test_failed_jobs_are_found_by_their_code(server: ServerProcess) -> None:
    async with server:
        shell = Shell(server.url)
        crashed = shell.submit_and_wait("-a", "behave=crash")
        shell.submit_and_wait()

        found = shell.json("jobs", "--failure", "harness_error")
        others = shell.json("jobs", "--failure", "disk_full")

    assert [job["job_id"] for job in found] == [crashed]
    assert others == []


@pytest.mark.parametrize("command", ["status", "wait"])
async def test_the_advice_on_a_failed_job_is_above_the_end_of_its_log(
    server: ServerProcess, command: str
) -> None:
    async with server:
        shell = Shell(server.url)
        crashed = shell.submit_and_wait("-a", "behave=crash")

        result = shell.run(command, crashed)

    said = result.stdout + result.stderr
    assert "harness_error" in said
    assert said.index("evalserver has no advice for") < said.index("Last lines of")


async def test_the_newest_come_first_up_to_the_limit(server: ServerProcess) -> None:
    async with server:
        shell = Shell(server.url)
        jobs = [shell.submit() for _ in range(3)]

        limited = [job["job_id"] for job in shell.json("jobs", "--limit", 2)]
        every = [job["job_id"] for job in shell.json("jobs", "--limit", 2, "--all")]

    assert (limited, every) == (jobs[:0:-1], jobs[::-1])


async def test_a_terminal_says_that_there_are_more_jobs(server: ServerProcess) -> None:
    async with server:
        for _ in range(2):
            Shell(server.url).submit()
        environment = {"EVALSERVER_URL": server.url}
        with Terminal("jobs", "--limit", "1", environment=environment) as terminal:
            terminal.end()

    assert "There are more than 1; show them with --limit N or --all." in terminal.screen()


@pytest.mark.parametrize("command", ["status", "wait", "logs"])
async def test_untrusted_text_cannot_control_the_terminal(
    server: ServerProcess, command: str
) -> None:
    async with server:
        job = await server.api.submit(model_args={"behave": "exit", "code": 1, "name": EVIL})
        await server.api.finished(job)
        environment = {"EVALSERVER_URL": server.url}
        with Terminal(command, job, columns=250, environment=environment) as terminal:
            terminal.end()

    assert "[red]x[/red]" in terminal.screen()
    assert b"\x1b]0;" not in terminal.written
    assert b"\x1b[2J" not in terminal.written


def test_only_colors_of_a_log_reach_the_terminal() -> None:
    line = f"\x1b[31mred\x1b[0m {EVIL}"

    assert _remove_control_sequences(line, colors=True) == "\x1b[31mred\x1b[0m [red]x[/red]\r\n"


def test_without_colors_no_escape_sequence_reaches_the_terminal() -> None:
    assert (
        _remove_control_sequences(f"\x1b[31mred\x1b[0m\x9b2J {EVIL}", colors=False)
        == "red2J [red]x[/red]\r\n"
    )


async def test_times_are_in_the_local_time_zone(server: ServerProcess) -> None:
    async with server:
        job = Shell(server.url).submit_and_wait()
        output = Shell(server.url, TZ="Etc/GMT-5").stdout_of("status", job)
        created = datetime.fromisoformat(Shell(server.url).json("status", job)["created_at"])

    there = (created.astimezone(UTC) + timedelta(hours=5)).strftime("%Y-%m-%d %H:%M:%S")
    assert f" {there} by anonymous" in output


async def test_a_priority_moves_a_job_in_the_queue_and_the_list(server: ServerProcess) -> None:
    async with server:
        shell = Shell(server.url)
        running = shell.submit("-a", "behave=hang")
        await server.api.when(running, "running")
        first, second = shell.submit(), shell.submit()

        output = shell.stdout_of("priority", second[:14], 5)
        lowered = shell.json("priority", first, -3)

        assert output == f"Job {second} has priority 5 now, and no jobs are before it\n"
        assert (lowered["job_id"], lowered["position_in_queue"]) == (first, 1)
        ids = [job["job_id"] for job in shell.json("jobs", "--sort", "-priority")]
        assert ids == [second, running, first]


async def test_the_priority_of_a_job_that_is_not_queued_cannot_be_changed(
    server: ServerProcess,
) -> None:
    async with server:
        shell = Shell(server.url)
        result = shell.run("priority", shell.submit_and_wait(), "5")

    assert result.returncode == 2
    assert "Error" in result.stderr


async def test_the_command_accepts_every_sort_order_of_the_server(api: Api) -> None:
    description = await api.call("GET", "/openapi.json")

    keys = description["paths"]["/jobs"]["get"]["parameters"]
    [sort] = [each["schema"] for each in keys if each["name"] == "sort"]
    assert {each.removeprefix("-") for each in sort["enum"]} == set(SORT_KEYS)


@pytest.mark.parametrize("option", ["--since", "--before"])
def test_a_time_that_cannot_be_read_is_named_by_its_option(option: str) -> None:
    answer = Shell("http://127.0.0.1:1").run("jobs", option, "yesterday")

    assert answer.returncode == 2
    assert f"Invalid value for '{option}': 'yesterday' is neither an age such as" in answer.stderr


async def test_a_list_of_jobs_without_a_job_says_how_to_queue_one(server: ServerProcess) -> None:
    async with server:
        with Terminal("jobs", environment={"EVALSERVER_URL": server.url}) as terminal:
            terminal.end()

    assert terminal.screen() == "There are no jobs yet; 'evalserver submit' queues one."


async def test_the_log_of_a_job_that_never_started_says_so(server: ServerProcess) -> None:
    async with server:
        await server.api.call("POST", "/drain")
        shell = Shell(server.url)
        job = shell.submit()
        shell.run("cancel", job)
        with Terminal("logs", job, environment={"EVALSERVER_URL": server.url}) as terminal:
            terminal.end()

    assert terminal.screen() == "The job was cancelled before it started, and has no output."


async def test_an_invalid_filter_does_not_claim_that_nothing_was_changed(
    server: ServerProcess,
) -> None:
    async with server:
        answer = Shell(server.url).run("jobs", "--failure", "disk")

    assert answer.stderr.splitlines()[0] == (
        "Error: The request is invalid. Please correct: failure"
    )


async def test_the_advice_of_a_failed_job_names_the_job(server: ServerProcess) -> None:
    async with server:
        shell = Shell(server.url)
        job = shell.submit_and_wait("-a", "behave=exit", "-a", "code=3")
        answer = shell.run("wait", job)

    assert f"and the log: evalserver logs {job[-8:]}." in answer.stderr
