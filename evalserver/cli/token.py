"""``evalserver token``: creating, listing and revoking tokens."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

from evalserver.cli import cells
from evalserver.cli.database import database_path, report_database_errors, with_data_dir
from evalserver.cli.groups import CommandGroup
from evalserver.cli.local_server import run_locked_or_ask
from evalserver.cli.screens import Column, as_json, print_json, print_table
from evalserver.cli.settings import HELP_OPTIONS
from evalserver.core.roles import ASSIGNABLE_ROLES, Role

if TYPE_CHECKING:
    from evalserver.auth.access import Access
    from evalserver.store import Store, Token

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
MAX_LIFETIME = timedelta(days=3660)
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
    """A duration such as 90d."""

    name = "time"

    def convert(self, value: Any, param: Any, ctx: Any) -> timedelta:
        """Parse a duration."""
        found = re.fullmatch(r"([0-9]{1,9})([smhdw])", str(value))
        if not found:
            self.fail(f"{value!r} is not a duration such as 90d, 12h or 30m", param, ctx)
        lifetime = timedelta(seconds=int(found[1]) * UNITS[found[2]])
        if not timedelta(0) < lifetime <= MAX_LIFETIME:
            self.fail(f"{value!r} must be above 0 and at most ten years", param, ctx)
        return lifetime


@click.group(cls=CommandGroup, context_settings=HELP_OPTIONS)
def token() -> None:
    """Create, list and revoke tokens, even while the server runs."""


@token.command()
@click.option("--name", required=True, help="Name of the token, as in the audit log.")
@click.option(
    "--role",
    required=True,
    type=click.Choice([str(role) for role in ASSIGNABLE_ROLES]),
    help="viewer reads; submitter also submits, and cancels its own jobs; admin can do everything.",
)
@click.option(
    "--expires", type=Lifetime(), help="How long it is valid, such as 90d; by default for ever."
)
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
    """Create a token, and show it once."""
    from evalserver.auth.access import OPERATOR, InvalidTokenName

    async def create_token(access: "Access") -> dict[str, Any]:
        token, secret = await access.create(name, Role(role), OPERATOR, expires)
        return {"name": token.name, "role": str(token.role), "token": secret}

    body = {"name": name, "role": role}
    if expires is not None:
        body["expires_in_s"] = expires.total_seconds()  # type: ignore[assignment]
    try:
        folder = _data_directory(config, data_dir)
        created = _run_locked_or_ask(folder, create_token, "POST", "/tokens", body)
    except InvalidTokenName as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        print_json({key: created[key] for key in ("name", "role", "token")})
        return
    # The directory is shown, because a mistyped one would work as well.
    token_name = f"Token {created['name']}, {created['role']}"
    click.echo(f"{token_name}, for the server of {folder}; it is shown only once:", err=True)
    click.echo(created["token"])


@token.command()
@click.argument("name")
@with_data_dir
@as_json
def revoke(name: str, config: Path | None, data_dir: str | None, as_json: bool) -> None:
    """Revoke a token; it is invalid from now on."""
    from evalserver.auth.access import OPERATOR

    async def revoke_token(access: "Access") -> None:
        await access.revoke(name, OPERATOR)

    _run_locked_or_ask(
        _data_directory(config, data_dir), revoke_token, "DELETE", f"/tokens/{quote(name, safe='')}"
    )
    if as_json:
        print_json({"name": name, "revoked": True})
        return
    click.echo(f"Token {name} is revoked")


@token.command(name="list")
@with_data_dir
@as_json
def list_tokens(config: Path | None, data_dir: str | None, as_json: bool) -> None:
    """List all tokens, including revoked and expired ones, without their secrets."""
    from evalserver.store import Token, snapshot, tokens_in

    with report_database_errors(), snapshot(database_path(config, data_dir)) as opened:
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
        cells.local_time(token.created_at),
        cells.text(token.created_by),
        cells.local_time(token.expires_at),
        cells.local_time(token.last_used_at),
    )


def _state(token: "Token") -> str:
    if token.revoked_at is not None:
        return "revoked"
    is_expired = token.expires_at is not None and datetime.fromisoformat(
        token.expires_at
    ) <= datetime.now(UTC)
    return "expired" if is_expired else "valid"


def _data_directory(config: Path | None, data_dir: str | None) -> Path:
    return database_path(config, data_dir).parent


def _run_locked_or_ask(
    folder: Path,
    operation: Callable[["Access"], Awaitable[Any]],
    method: str,
    path: str,
    body: dict[str, Any] | None = None,
) -> Any:
    async def with_access(store: "Store") -> Any:
        from evalserver.auth.access import Access

        access = Access(store.tokens)
        await access.load()
        return await operation(access)

    with report_database_errors():
        return run_locked_or_ask(folder, "evalserver token", with_access, method, path, body)
