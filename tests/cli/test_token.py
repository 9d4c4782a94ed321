"""``evalserver token``: what it prints, for people and for programs."""

import json
from pathlib import Path

import pytest

from evalserver.store import DATABASE_NAME
from tests.cli.commands import assert_fails, evalserver, where
from tests.cli.terminal import Terminal
from tests.store.test_migrate import change


def make(folder: Path, name: str, *more: str) -> str:
    """A new token's secret."""
    result = evalserver(
        "token", "create", "--name", name, "--role", "viewer", *more, *where(folder)
    )
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


def listed(folder: Path) -> list[list[str]]:
    """The rows of the table, word by word."""
    result = evalserver("token", "list", *where(folder), TZ="UTC")
    assert (result.exit_code, result.stderr) == (0, "")
    return [line.split() for line in result.stdout.splitlines()[1:]]


def test_only_the_secret_is_on_stdout_and_the_server_is_named_on_stderr(tmp_path: Path) -> None:
    result = evalserver("token", "create", "--name", "ann", "--role", "admin", *where(tmp_path))

    assert result.stdout.startswith("evs_")
    assert result.stdout.count("\n") == 1
    assert str(tmp_path) in result.stderr


def test_programs_get_a_new_token_as_json(tmp_path: Path) -> None:
    said = json.loads(make(tmp_path, "ann", "--json"))

    assert (said["name"], said["role"], said["token"][:4]) == ("ann", "viewer", "evs_")


def test_programs_are_told_of_the_revoked_as_json(tmp_path: Path) -> None:
    make(tmp_path, "ann")

    result = evalserver("token", "revoke", "ann", "--json", *where(tmp_path))

    assert json.loads(result.stdout) == {"name": "ann", "revoked": True}


def test_the_list_shows_whether_each_token_is_valid(tmp_path: Path) -> None:
    for name in ("ann", "bob", "cyd"):
        make(tmp_path, name, "--expires", "90d")
    evalserver("token", "revoke", "bob", *where(tmp_path))
    change(
        tmp_path / DATABASE_NAME,
        "UPDATE tokens SET expires_at = '2020-01-01T00:00:00.000+00:00' WHERE name = 'cyd'",
    )

    rows = listed(tmp_path)

    assert [(row[0], row[2]) for row in rows] == [
        ("ann", "valid"),
        ("bob", "revoked"),
        ("cyd", "expired"),
    ]


def test_a_cell_without_a_value_can_be_counted(tmp_path: Path) -> None:
    make(tmp_path, "ann")

    [[name, role, state, _day, _time, by, expires, used]] = listed(tmp_path)

    assert (name, role, state, by, expires, used) == (
        "ann",
        "viewer",
        "valid",
        "operator",
        "-",
        "-",
    )


def test_a_narrow_terminal_shows_what_matters(tmp_path: Path) -> None:
    make(tmp_path, "ann")

    with Terminal("token", "list", *where(tmp_path), columns=40) as terminal:
        terminal.end()

    assert [line.split() for line in terminal.screen().splitlines()] == [
        ["NAME", "ROLE", "STATE"],
        ["ann", "viewer", "valid"],
    ]


def test_a_name_that_nobody_has_is_one_line(tmp_path: Path) -> None:
    make(tmp_path, "ann")

    assert_fails(
        evalserver("token", "revoke", "eve", *where(tmp_path)), "There is no token named eve"
    )


@pytest.mark.parametrize("lifetime", ["90", "0d", "soon", "99999999w"])
def test_a_lifetime_that_is_none_is_a_usage_error(lifetime: str, tmp_path: Path) -> None:
    words = ("create", "--name", "ann", "--role", "viewer", "--expires", lifetime)

    result = evalserver("token", *words, *where(tmp_path))

    assert (result.exit_code, result.stdout) == (2, "")
    assert list(tmp_path.iterdir()) == []
