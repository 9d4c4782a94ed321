"""``evalserver leaderboard``: models by tasks."""

import asyncio
import csv

from evalserver.cli.exit_codes import ExitCode
from tests.cli.shell import Shell
from tests.cli.terminal import Terminal
from tests.support import ServerProcess


def submit(shell: Shell, model: str, scores: str, *more: str) -> str:
    """Run a job of a model whose documents get these scores."""
    args = ("-a", "behave=scores", "-a", f"scores={scores}", "-a", f"pretrained={model}")
    return shell.submit_and_wait(*args, *more)


BEST, NEARLY, WORSE = ("/".join(each) for each in ("1" * 40, "1" * 39 + "0", "0" * 30 + "1" * 10))


async def test_models_are_listed_with_marks(server: ServerProcess) -> None:
    async with server:
        shell = Shell(server.url)
        for model, scores in (("sft", BEST), ("dpo", NEARLY), ("base", WORSE)):
            submit(shell, model, scores)
        lines = shell.stdout_of("leaderboard").splitlines()
        table = shell.stdout_of("leaderboard", "mm*", "--csv")

    assert [line.split() for line in lines[:4]] == [
        ["MODEL", "VALUE"], ["sft", "1.0000", "*"], ["dpo", "0.9750", "="], ["base", "0.2500"],
    ]  # fmt: skip
    assert lines[4] == "VALUE: mme acc (lmms_eval)"
    assert "2 tests document by document, 0 by standard errors" in lines[5]
    rows = list(csv.DictReader(table.splitlines()))
    assert [(row["name"], row["value"], row["differs"]) for row in rows] == [
        ("sft", "1.0", ""), ("dpo", "0.975", "False"), ("base", "0.25", "True"),
    ]  # fmt: skip


async def test_columns_that_do_not_fit_are_omitted_and_counted(server: ServerProcess) -> None:
    tasks = [f"benchmark_{number}" for number in range(1, 21)]
    async with server:
        shell = Shell(server.url)
        submit(shell, f"/checkpoints/{'name_' * 20}", BEST, "-t", ",".join(tasks), "--no-validate")
        with Terminal("leaderboard", "--url", server.url, columns=80) as terminal:
            screen = await asyncio.to_thread(terminal.until, "do not fit")

    assert " 1 * " in screen
    assert "[3]: " in screen
    assert "[20]: " not in screen
    assert "more columns do not fit into this terminal; name TASKs" in " ".join(screen.split())


async def test_the_steps_of_a_series_are_chosen(server: ServerProcess) -> None:
    async with server:
        shell = Shell(server.url)
        for step, scores in (("100", "1/1"), ("200", "1/0")):
            submit(shell, f"ckpt-{step}", scores, "--series", "run", "--step", step)
        found = [
            shell.json("leaderboard", "--by", "series", *chosen)["entries"][0]["cells"][0]["step"]
            for chosen in ((), ("--pick", "best"), ("--step", "100"))
        ]

    assert found == [200, 100, 100]


def test_a_step_is_a_pick_of_its_own() -> None:
    result = Shell("http://127.0.0.1:1").run("leaderboard", "--pick", "best", "--step", "3")

    assert result.returncode == ExitCode.USAGE
    assert "--pick and --step exclude each other" in result.stderr
