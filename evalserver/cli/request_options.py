"""The options of ``evalserver submit`` that make a request: one for each of its fields."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

import click

from evalserver.cli import values
from evalserver.cli.completing import complete_models, complete_tasks
from evalserver.cli.values import parse_with
from evalserver.core.request import REQUEST_FIELDS
from evalserver.core.request_fields import Kind, RequestField

Command = Callable[..., Any]


def with_request(command: Command) -> Command:
    """Give a command the options of a request, and those that were given as ``fields``."""

    @wraps(command)
    def called(**kwargs: Any) -> Any:
        given = {name: kwargs.pop(name) for name in REQUEST_FIELDS}
        fields = {name: value for name, value in given.items() if value not in (None, {}, [])}
        return command(fields=fields, **kwargs)

    wrapped: Command = called
    for row in reversed(list(REQUEST_FIELDS.values())):
        wrapped = _option(row)(wrapped)
    return wrapped


def _option(row: RequestField) -> Callable[[Command], Command]:
    flags = f"{row.option}/--no-{row.option[2:]}" if row.kind is Kind.BOOLEAN else row.option
    names = [flags, row.short_option, row.name] if row.short_option else [flags, row.name]
    repeated = " May be given several times." if _BY_KIND[row.kind].get("multiple") else ""
    return click.option(
        *names,
        default=None,
        help=f"{row.option_help}{repeated}",
        shell_complete=_COMPLETIONS.get(row.listed_by),
        **_BY_KIND[row.kind],
        **_choices(row),
    )


def _choices(row: RequestField) -> dict[str, Any]:
    return {"type": click.Choice(row.choices)} if row.choices else {}


_ARGUMENTS = {
    "metavar": "NAME=VALUE,...",
    "multiple": True,
    "callback": parse_with(values.arguments),
}
_SECONDS = {"metavar": "SECONDS|30m|2h", "callback": parse_with(values.seconds)}

_BY_KIND: Mapping[Kind, Mapping[str, Any]] = {
    Kind.NAME: {"metavar": "NAME"},
    Kind.TEXT: {"metavar": "TEXT"},
    Kind.NAMES: {"metavar": "NAME,...", "multiple": True, "callback": parse_with(values.names)},
    Kind.INTEGER: {"type": int},
    Kind.BOOLEAN: {},
    Kind.CHOICE: {},
    Kind.SECONDS: _SECONDS,
    Kind.TIME_LIMIT: _SECONDS,
    Kind.ARGUMENTS: _ARGUMENTS,
    Kind.GENERATION_ARGUMENTS: {
        "metavar": "NAME=VALUE,...",
        "callback": parse_with(values.generation_arguments),
    },
    Kind.HARNESS_ARGUMENTS: {
        "metavar": "NAME=VALUE",
        "multiple": True,
        "callback": parse_with(values.harness_arguments),
    },
    Kind.SEED: {"metavar": "N|N,N,N,N", "callback": parse_with(values.seeds)},
    Kind.BATCH_SIZE: {"metavar": "N", "callback": parse_with(values.integer_or_text)},
    Kind.LIMIT: {"metavar": "NUMBER", "callback": parse_with(values.number)},
    Kind.OUTPUT_DIRECTORY: {"metavar": "PATH"},
    Kind.ENGINE: {"metavar": "NAME"},
    Kind.LABELS: {
        "metavar": "NAME=TEXT",
        "multiple": True,
        "callback": parse_with(values.labels),
    },
    Kind.MERGE: _ARGUMENTS,
}
"""How the text of an option becomes a value of each kind."""

_COMPLETIONS = {"models": complete_models, "tasks": complete_tasks}
