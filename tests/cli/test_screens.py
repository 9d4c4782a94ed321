"""Snapshots of each command's output on a terminal and in a pipe."""

from collections.abc import Iterator

import pytest

from tests.cli.lab import Lab, open_lab
from tests.cli.shell import Shell
from tests.cli.snapshots import assert_screen
from tests.cli.terminal import Terminal

SCREENS = {
    "jobs": "jobs",
    "jobs-none": "jobs --model nobody",
    "status-completed": "status {completed}",
    "status-failed": "status {failed}",
    "status-running": "status {running}",
    "status-queued": "status {queued}",
    "queue": "queue",
    "logs": "logs {completed}",
    "results": "results {completed}",
    "compare": "compare {baseline} {better}",
    "compare-one": "compare {completed}",
    "samples": "samples {completed}",
    "samples-more": "samples {completed} mme --limit 3 --only wrong --metric acc --filter strict",
    "health": "health",
    "tasks": "tasks",
    "tasks-none": "tasks nobody",
    "models": "models",
    "wait-completed": "wait {completed}",
    "wait-failed": "wait {failed}",
    "wait-cancelled": "wait {cancelled}",
    "wait-several": "wait {completed} {cancelled}",
    "cancel-finished": "cancel {completed} {failed}",
    "retry-unfinished": "retry {running}",
    "no-such-job": "status 0000",
    "refused": "submit -m dummy -t /etc/passwd --limit 0 --engine lm_evl",
    "no-such-command": "sumbit",
    "no-tasks": "submit -m dummy",
}

WIDE, STANDARD, NARROW = 250, 100, 40

SHOW_PATHS = ("status-completed", "status-failed", "status-running", "wait-failed")
"""The line breaks would depend on the length of a path."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A server with a job in every state."""
    with open_lab(tmp_path_factory.mktemp("lab")) as lab:
        yield lab


def arguments(command: str, lab: Lab) -> list[str]:
    """Return the arguments of a command, with the ids of the lab's jobs filled in."""
    return command.format(**vars(lab)).split()


def open_terminal(command: str, lab: Lab, columns: int = STANDARD) -> Terminal:
    """Open a terminal with the command."""
    return Terminal(
        *arguments(command, lab), columns=columns, environment={"EVALSERVER_URL": lab.url}
    )


@pytest.mark.parametrize("name", SCREENS)
def test_a_terminal_shows_the_recorded_screen(lab: Lab, name: str) -> None:
    columns = WIDE if name in SHOW_PATHS else STANDARD
    with open_terminal(SCREENS[name], lab, columns) as terminal:
        terminal.end()

        assert_screen(f"{name}-on-a-terminal", terminal.screen())


@pytest.mark.parametrize("name", SCREENS)
def test_a_pipe_gets_the_recorded_output(lab: Lab, name: str) -> None:
    result = Shell(lab.url).run(*arguments(SCREENS[name], lab))

    assert_screen(
        f"{name}-in-a-pipe", f"{result.stdout}--- stderr, {result.returncode}\n{result.stderr}"
    )


@pytest.mark.parametrize("name", ["jobs", "results", "queue", "refused"])
def test_a_narrow_terminal_shows_the_recorded_screen(lab: Lab, name: str) -> None:
    with open_terminal(SCREENS[name], lab, NARROW) as terminal:
        terminal.end()

        assert_screen(f"{name}-narrow", terminal.screen())


@pytest.mark.parametrize(("columns", "suffix"), [(STANDARD, ""), (NARROW, "-narrow")])
def test_a_terminal_shows_a_running_job_as_a_progress_bar(
    lab: Lab, columns: int, suffix: str
) -> None:
    with open_terminal("wait {running}", lab, columns) as terminal:
        assert_screen(f"wait-running{suffix}", terminal.until("50%"))


def test_a_terminal_shows_the_position_of_a_queued_job(lab: Lab) -> None:
    with open_terminal("wait {queued}", lab) as terminal:
        assert_screen("wait-queued", terminal.until("queued, 0 ahead"))


def test_ctrl_c_says_how_to_continue(lab: Lab) -> None:
    with open_terminal("wait {running}", lab) as terminal:
        terminal.until("50%")
        terminal.press_ctrl_c()
        terminal.end()

        assert_screen("wait-detached", terminal.screen())


def test_no_color_disables_colors(lab: Lab) -> None:
    environment = {"EVALSERVER_URL": lab.url, "NO_COLOR": "1"}
    with Terminal("jobs", environment=environment) as terminal:
        terminal.end()

        assert b"\x1b[3" not in terminal.written


def test_a_terminal_has_colors(lab: Lab) -> None:
    with open_terminal("jobs", lab) as terminal:
        terminal.end()

        assert b"\x1b[32m" in terminal.written


@pytest.mark.parametrize("command", SCREENS.values())
def test_a_pipe_gets_no_escape_sequences(lab: Lab, command: str) -> None:
    result = Shell(lab.url, FORCE_COLOR="1").run(*arguments(command, lab))

    assert "\x1b" not in result.stdout + result.stderr


@pytest.mark.parametrize("page", ["", "submit", "wait", "jobs"])
def test_the_help_fits_a_terminal(page: str) -> None:
    result = Shell().run(*page.split(), "--help")

    assert_screen(f"help-{page or 'all'}", result.stdout)
