"""``evalserver token``: its output for users and for programs."""

import json
from pathlib import Path

import pytest

from evalserver.store import DATABASE_NAME
from tests.cli.commands import assert_fails, data_dir_option, evalserver
from tests.cli.terminal import Terminal
from tests.store.test_migrate import change


def create_token(folder: Path, name: str, *more: str) -> str:
    """Create a token, and return its secret."""
    result = evalserver(
        "token", "create", "--name", name, "--role", "viewer", *more, *data_dir_option(folder)
    )
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


def list_rows(folder: Path) -> list[list[str]]:
    """Return the rows of the table, split into words."""
    result = evalserver("token", "list", *data_dir_option(folder), TZ="UTC")
    assert (result.exit_code, result.stderr) == (0, "")
    return [line.split() for line in result.stdout.splitlines()[1:]]


def test_stdout_has_only_the_secret_and_stderr_names_the_server(tmp_path: Path) -> None:
    result = evalserver(
        "token", "create", "--name", "ann", "--role", "admin", *data_dir_option(tmp_path)
    )

    assert result.stdout.startswith("evs_")
    assert result.stdout.count("\n") == 1
    assert str(tmp_path) in result.stderr


def test_a_new_token_is_available_as_json(tmp_path: Path) -> None:
    token = json.loads(create_token(tmp_path, "ann", "--json"))

    assert (token["name"], token["role"], token["token"][:4]) == ("ann", "viewer", "evs_")


def test_revoked_tokens_are_reported_as_json(tmp_path: Path) -> None:
    create_token(tmp_path, "ann")

    result = evalserver("token", "revoke", "ann", "--json", *data_dir_option(tmp_path))

    assert json.loads(result.stdout) == {"name": "ann", "revoked": True}


def test_the_list_shows_whether_each_token_is_valid(tmp_path: Path) -> None:
    for name in ("ann", "bob", "cyd"):
        create_token(tmp_path, name, "--expires", "90d")
    evalserver("token", "revoke", "bob", *data_dir_option(tmp_path))
    change(
        tmp_path / DATABASE_NAME,
        "UPDATE tokens SET expires_at = '2020-01-01T00:00:00.000+00:00' WHERE name = 'cyd'",
    )

    rows = list_rows(tmp_path)

    assert [(row[0], row[2]) for row in rows] == [
        ("ann", "valid"),
        ("bob", "revoked"),
        ("cyd", "expired"),
    ]


def test_an_empty_cell_is_a_dash(tmp_path: Path) -> None:
    create_token(tmp_path, "ann")

    [[name, role, state, _day, _time, by, expires, used]] = list_rows(tmp_path)

    assert (name, role, state, by, expires, used) == (
        "ann",
        "viewer",
        "valid",
        "operator",
        "-",
        "-",
    )


def test_a_narrow_terminal_shows_the_most_important_columns(tmp_path: Path) -> None:
    create_token(tmp_path, "ann")

    with Terminal("token", "list", *data_dir_option(tmp_path), columns=40) as terminal:
        terminal.end()

    assert [line.split() for line in terminal.screen().splitlines()] == [
        ["NAME", "ROLE", "STATE"],
        ["ann", "viewer", "valid"],
    ]


def test_an_unknown_name_is_a_one_line_error(tmp_path: Path) -> None:
    create_token(tmp_path, "ann")

    assert_fails(
        evalserver("token", "revoke", "eve", *data_dir_option(tmp_path)),
        "There is no token named eve",
    )


@pytest.mark.parametrize("lifetime", ["90", "0d", "soon", "99999999w"])
def test_an_invalid_lifetime_is_a_usage_error(lifetime: str, tmp_path: Path) -> None:
    words = ("create", "--name", "ann", "--role", "viewer", "--expires", lifetime)

    result = evalserver("token", *words, *data_dir_option(tmp_path))

    assert (result.exit_code, result.stdout) == (2, "")
    assert list(tmp_path.iterdir()) == []
