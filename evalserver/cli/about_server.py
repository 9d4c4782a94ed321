"""``evalserver health``, ``tasks``, ``models``: how the server is, and what its harnesses know."""

from fnmatch import fnmatchcase

import click

from evalserver.cli import cells
from evalserver.cli.connection import Server, engine_option, with_server
from evalserver.cli.exit_codes import ExitCode
from evalserver.cli.screens import as_json, on_terminal, print_json, print_record

pattern = click.argument("pattern", required=False)


@click.command()
@as_json
@with_server
def health(server: Server, as_json: bool) -> None:
    """Ask the server how it is.

    Exit code 1 when it is not healthy: it answers, but can write nothing.
    """
    with server.client() as client:
        found = client.health()
        where = client.base_url
    if as_json:
        print_json(found)
    else:
        said = {name: value for name, value in found.items() if value is not None}
        shown = {"server": where, **{name.replace("_", " "): said[name] for name in said}}
        print_record({name: cells.text(value) for name, value in shown.items()})
    if found.get("status") != "healthy":
        raise click.exceptions.Exit(ExitCode.JOB_FAILED)


@click.command()
@pattern
@engine_option
@as_json
@with_server
def tasks(server: Server, pattern: str | None, engine: str | None, as_json: bool) -> None:
    """List the tasks that can be evaluated, one a line.

    PATTERN is part of a name, or has * and ? for what is left open.
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
    """List the kinds of models that the harness knows, one a line.

    PATTERN is part of a name, or has * and ? for what is left open.
    """
    with server.client() as client:
        names = client.list_models(engine=engine)
    _print_names(names, pattern, as_json=as_json)


def _print_names(names: list[str], pattern: str | None, *, as_json: bool) -> None:
    wanted = [name for name in names if pattern is None or _matches(name, pattern)]
    if as_json:
        print_json(wanted)
    elif wanted:
        click.echo("\n".join(map(cells.text, wanted)))
    else:
        on_terminal(lambda: f"None of {len(names)} names is like {pattern!r}.")


def _matches(name: str, pattern: str) -> bool:
    if set(pattern) & set("*?["):
        return fnmatchcase(name.lower(), pattern.lower())
    return pattern.lower() in name.lower()
