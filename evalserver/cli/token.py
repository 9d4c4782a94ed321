"""``evalserver token``: make, list and revoke tokens.

Two connections must never write one database. So where a server runs, it does what is asked for,
told by the socket in its data directory; where none runs, the command takes the server's own lock.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import click

from evalserver.cli import cells
from evalserver.cli.database import database_of, errors_in_words, with_data_dir
from evalserver.cli.local_server import ask_server
from evalserver.cli.screens import Column, as_json, print_json, print_table
from evalserver.cli.settings import HELP_NAMES
from evalserver.core.roles import ASSIGNABLE_ROLES, Role

if TYPE_CHECKING:
    from evalserver.auth.access import Access
    from evalserver.store import Token

T = TypeVar("T")

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
LONGEST_LIFETIME = timedelta(days=3660)
COLUMNS = (
    Column("NAME"),
    Column("ROLE"),
    Column("STATE"),
    Column("CREATED", optional=True),
    Column("BY", optional=True),
    Column("EXPIRES", optional=True),
    Column("LAST USED", optional=True),
)


class Lifetime(click.ParamType[timedelta]):
    """A time such as 90d."""

    name = "time"

    def convert(self, value: Any, param: Any, ctx: Any) -> timedelta:
        """The time in a text."""
        found = re.fullmatch(r"([0-9]{1,9})([smhdw])", str(value))
        if not found:
            self.fail(f"{value!r} is not a time such as 90d, 12h or 30m", param, ctx)
        lifetime = timedelta(seconds=int(found[1]) * UNITS[found[2]])
        if not timedelta(0) < lifetime <= LONGEST_LIFETIME:
            self.fail(f"{value!r} is not above 0 and at most ten years", param, ctx)
        return lifetime


@click.group(context_settings=HELP_NAMES)
def token() -> None:
    """Make, list and revoke tokens, also while the server runs."""


@token.command()
@click.option("--name", required=True, help="Whose token it is; the audit log says so.")
@click.option(
    "--role",
    required=True,
    type=click.Choice([str(role) for role in ASSIGNABLE_ROLES]),
    help="viewer reads; submitter also submits, and cancels its own; admin does everything.",
)
@click.option("--expires", type=Lifetime(), help="How long it holds, such as 90d; else for ever.")
@with_data_dir
@as_json
def create(
    name: str,
    role: str,
    expires: timedelta | None,
    config: Path | None,
    data_dir: str | None,
    as_json: bool,
) -> None:
    """Make a token, and show it: this once."""
    from evalserver.auth.access import OPERATOR, InvalidTokenName

    async def make(access: "Access") -> dict[str, Any]:
        made, secret = await access.create(name, Role(role), OPERATOR, expires)
        return {"name": made.name, "role": str(made.role), "token": secret}

    body = {"name": name, "role": role}
    if expires is not None:
        body["expires_in_s"] = expires.total_seconds()  # type: ignore[assignment]
    try:
        folder = _folder(config, data_dir)
        made = _do(folder, make, "POST", "/tokens", body)
    except InvalidTokenName as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        print_json({key: made[key] for key in ("name", "role", "token")})
        return
    # A mistyped directory is one that a server could begin with: it must be seen.
    told = f"Token {made['name']}, {made['role']}, for the server of {folder}; shown this once:"
    click.echo(told, err=True)
    click.echo(made["token"])


@token.command()
@click.argument("name")
@with_data_dir
@as_json
def revoke(name: str, config: Path | None, data_dir: str | None, as_json: bool) -> None:
    """Take a token back: it is worth nothing from now on."""
    from evalserver.auth.access import OPERATOR

    async def take_back(access: "Access") -> None:
        await access.revoke(name, OPERATOR)

    _do(_folder(config, data_dir), take_back, "DELETE", f"/tokens/{quote(name, safe='')}")
    if as_json:
        print_json({"name": name, "revoked": True})
        return
    click.echo(f"Token {name} is revoked")


@token.command(name="list")
@with_data_dir
@as_json
def list_tokens(config: Path | None, data_dir: str | None, as_json: bool) -> None:
    """List every token that there ever was, without the secrets."""
    from evalserver.store import Token, snapshot, tokens_in

    with errors_in_words(), snapshot(database_of(config, data_dir)) as opened:
        found = tokens_in(opened)
    if as_json:
        names = [each.name for each in fields(Token) if each.name != "secret_hash"]
        print_json([{name: getattr(token, name) for name in names} for token in found])
        return
    print_table(COLUMNS, [_row(token) for token in found])


def _row(token: "Token") -> tuple[str, ...]:
    return (
        token.name,
        token.role,
        _state(token),
        cells.moment(token.created_at),
        cells.text(token.created_by),
        cells.moment(token.expires_at),
        cells.moment(token.last_used_at),
    )


def _state(token: "Token") -> str:
    if token.revoked_at is not None:
        return "revoked"
    over = token.expires_at is not None and datetime.fromisoformat(
        token.expires_at
    ) <= datetime.now(UTC)
    return "expired" if over else "holds"


def _folder(config: Path | None, data_dir: str | None) -> Path:
    return database_of(config, data_dir).parent


def _do(
    folder: Path,
    deed: Callable[["Access"], Awaitable[T]],
    method: str,
    path: str,
    body: dict[str, Any] | None = None,
) -> Any:
    """Do it here, if no server runs, or else have the server do the same."""
    import asyncio

    from evalserver.system.data_dir import DataDirTaken, lock_data_dir

    with errors_in_words():
        try:
            with lock_data_dir(folder, "evalserver token"):
                return asyncio.run(_with_access(folder, deed))
        except DataDirTaken as error:
            return ask_server(folder, method, path, body, error)


async def _with_access(folder: Path, deed: Callable[["Access"], Awaitable[T]]) -> T:
    from evalserver.auth.access import Access
    from evalserver.store import Store

    store = await Store.open(folder)
    try:
        access = Access(store.tokens)
        await access.load()
        return await deed(access)
    finally:
        await store.close()
