"""``evalserver health``, ``tasks``, ``models``: the server's health and its harnesses' names."""

from fnmatch import fnmatchcase

import click

from evalserver.cli import cells
from evalserver.cli.connection import Server, engine_option, with_server
from evalserver.cli.exit_codes import ExitCode
from evalserver.cli.screens import as_json, print_hint, print_json, print_record

pattern = click.argument("pattern", required=False)


@click.command()
@as_json
@with_server
def health(server: Server, as_json: bool) -> None:
    """Show the health of the server.

    Exit code 1 if it is not healthy: it responds, but cannot write to its database.
    """
    with server.client() as client:
        found = client.health()
        where = client.base_url
    if as_json:
        print_json(found)
    else:
        values = {
            name.replace("_", " "): value for name, value in found.items() if value is not None
        }
        record = {"server": where, **values}
        print_record({name: cells.text(value) for name, value in record.items()})
    if found.get("status") != "healthy":
        raise click.exceptions.Exit(ExitCode.JOB_FAILED)


@click.command()
@pattern
@engine_option
@as_json
@with_server
def tasks(server: Server, pattern: str | None, engine: str | None, as_json: bool) -> None:
    """List the tasks that can be evaluated, one per line.

    PATTERN is a part of a name, or a pattern with the wildcards * and ?.
    """
    with server.client() as client:
        names = client.list_tasks(engine=engine)
    _print_names(names, pattern, as_json=as_json)


@click.command()
@pattern
@engine_option
@as_json
@with_server
def models(server: Server, pattern: str | None, engine: str | None, as_json: bool) -> None:
    """List the model types that the harness supports, one per line.

    PATTERN is a part of a name, or a pattern with the wildcards * and ?.
    """
    with server.client() as client:
        names = client.list_models(engine=engine)
    _print_names(names, pattern, as_json=as_json)


def _print_names(names: list[str], pattern: str | None, *, as_json: bool) -> None:
    matching = [name for name in names if pattern is None or _matches(name, pattern)]
    if as_json:
        print_json(matching)
    elif matching:
        click.echo("\n".join(map(cells.text, matching)))
    else:
        print_hint(lambda: f"None of the {len(names)} names matches {pattern!r}.")


def _matches(name: str, pattern: str) -> bool:
    if set(pattern) & set("*?["):
        return fnmatchcase(name.lower(), pattern.lower())
    return pattern.lower() in name.lower()
