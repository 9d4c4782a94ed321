"""``evalserver compare --samples``: two jobs side by side."""

import pytest

from evalserver.cli.exit_codes import ExitCode
from tests.cli.shell import Shell
from tests.support import ServerProcess


def submit(shell: Shell, scores: str) -> str:
    """Run a job whose documents get these scores."""
    return shell.submit_and_wait("-a", "behave=scores", "-a", f"scores={scores}")


async def test_flips_are_listed_first_with_the_answers_of_both(server: ServerProcess) -> None:
    async with server:
        shell = Shell(server.url)
        first, second = submit(shell, "1/0/1/0"), submit(shell, "1/1/0/0")
        lines = shell.stdout_of("compare", first, second, "--samples", "mme").splitlines()

    assert lines[0] == (
        f"{second[-8:]} against {first[-8:]}, judged by acc: 1 right to wrong, 1 wrong to right,"
        " 1 both wrong, 1 both right."
    )
    assert [line.split() for line in lines[1:4]] == [
        ["DOC", "CHANGE", "BASELINE", "JOB", "TARGET"],
        ["2", "right", "to", "wrong", "7", "1", "7"],
        ["1", "wrong", "to", "right", "1", "7", "7"],
    ]


async def test_documents_are_filtered_by_both_jobs_and_limited(server: ServerProcess) -> None:
    async with server:
        shell = Shell(server.url)
        jobs = submit(shell, "1/0/1/0"), submit(shell, "1/1/0")
        wanted = ("--baseline-is", "right", "--job-is", "wrong")
        flips = shell.stdout_of("compare", *jobs, "--samples", "mme", *wanted, "--json")
        alone = shell.stdout_of("compare", *jobs, "--samples", "mme", "--job-is", "missing")
        limited = shell.stdout_of("compare", *jobs, "--samples", "mme", "--limit", "2", "--json")
        whole = shell.stdout_of("compare", *jobs, "--samples", "mme", "--all", "--json")

    assert flips.count("\n") == 1
    assert '"change": "right_to_wrong"' in flips
    assert alone.splitlines()[-1].split() == ["3", "only", "baseline", "1", "-", "7"]
    assert (limited.count("\n"), whole.count("\n")) == (2, 4)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("abcd abce --limit 3", "--limit needs --samples TASK"),
        ("abcd abce --baseline-is right", "--baseline-is needs --samples TASK"),
        ("abcd abce --all", "--all needs --samples TASK"),
    ],
)
def test_options_of_samples_need_a_task(words: str, message: str) -> None:
    result = Shell("http://127.0.0.1:1").run("compare", *words.split())

    assert result.returncode == ExitCode.USAGE
    assert message in result.stderr


async def test_samples_are_of_two_jobs(server: ServerProcess) -> None:
    async with server:
        shell = Shell(server.url)
        jobs = [submit(shell, "1") for _ in range(3)]
        result = shell.run("compare", *jobs, "--samples", "mme")

    assert result.returncode == ExitCode.USAGE
    assert "--samples compares two jobs" in result.stderr
