"""The reference tables of the documentation, made from the tables in the code.

``./scripts/docs`` writes them between the markers of each page; a test fails when one is stale.
"""

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, Field
from pathlib import Path
from typing import Any

import click
from marshmallow import Schema

from evalserver.attempts.failures import CODES
from evalserver.cli.main import main as command_line
from evalserver.cli.submit import submit
from evalserver.core.request import REQUEST_FIELDS
from evalserver.core.request_fields import Addressee
from evalserver.core.roles import Role
from evalserver.engines.inspect_ai import InspectAi
from evalserver.engines.lm_eval import LmEval
from evalserver.engines.lmms_eval import LmmsEval
from evalserver.engines.options import Option
from evalserver.engines.variables import VARIABLES
from evalserver.settings.server_args import ServerArgs, command_line_settings
from evalserver.settings.sources import environment_name
from evalserver.web.api.job_list import JobsQuerySchema
from evalserver.web.openapi import summary_of
from evalserver.web.routes import ROUTES
from evalserver.web.schemas.job_responses import JobSchema
from tests.conformance.answers import BOUNDS

ROOT = Path(__file__).parents[1]

DEFAULTS_OF_THE_MACHINE = {
    "data_dir": "`~/.local/share/evalserver`",
    "engine_python": "the server's own interpreter",
}
"""Defaults that depend on the user and the machine, in words."""


def settings_table() -> str:
    """Every setting that has a flag."""
    rows = (
        (
            f"`--{setting.name.replace('_', '-')}`",
            f"`{environment_name(setting.name)}`",
            _default_of(setting),
            setting.metadata["help"],
        )
        for setting in command_line_settings(ServerArgs)
    )
    return _table(("flag", "variable", "default", "description"), rows)


def variables_table() -> str:
    """The variables that reach harnesses."""
    rows = (
        (
            each.read_by,
            " ".join(f"`{name}`" for name in each.names),
            ", ".join(f"`{name}`" for name in sorted(each.engines)) or "all",
        )
        for each in VARIABLES
    )
    return _table(("read by", "variables", "engine types"), rows)


def routes_table() -> str:
    """Every route for programs."""
    rows = (
        (
            f"`{route.method} {route.path}`",
            "anyone" if route.role is Role.ANYONE else str(route.role),
            summary_of(route)[0] + ".",
        )
        for route in ROUTES
        if not route.path.startswith("/ui")
    )
    return _table(("route", "role", "description"), rows)


def request_table() -> str:
    """Every field of ``POST /evaluate``."""
    rows = (
        (
            f"`{name}`",
            "harness" if row.addressee is Addressee.HARNESS else "server",
            "required" if row.required else _code(row.default),
            f"`{json.dumps(row.example)}`",
            row.description,
        )
        for name, row in REQUEST_FIELDS.items()
    )
    return _table(("field", "addressed to", "default", "example", "description"), rows)


def job_table() -> str:
    """Every field of a job."""
    return _described(JobSchema())


def query_table() -> str:
    """Every query key of ``GET /jobs``."""
    return _described(JobsQuerySchema(BOUNDS))


def commands_table() -> str:
    """Every command."""
    rows = (
        (f"`evalserver {path}`", command.get_short_help_str(limit=200))
        for path, command in commands(command_line)
    )
    return _table(("command", "description"), rows)


def options_table() -> str:
    """Every option of ``evalserver submit`` that sets a field of the request."""
    options = (each for each in submit.params if isinstance(each, click.Option))
    rows = (
        (", ".join(f"`{flag}`" for flag in _flags(option)), f"`{option.name}`", option.help or "")
        for option in options
        if option.name in REQUEST_FIELDS
    )
    return _table(("option", "field", "description"), rows)


def failures_table() -> str:
    """Every code of a failure."""
    rows = ((f"`{code}`", advice.replace("<", "&lt;")) for code, advice in CODES.items())
    return _table(("code", "what it means, and what to do"), rows)


def harness_options_table(options: Mapping[str, Option]) -> str:
    """Every option of a harness in ``harness_args``."""
    rows = (
        (
            f"`{name}`",
            f"`{option.flag}`",
            option.types,
            f"`{json.dumps(option.example, ensure_ascii=False)}`",
            option.help
            + (f" **Allowed by the operator only**: {option.risk}." * bool(option.risk)),
        )
        for name, option in options.items()
    )
    return _table(("option", "of the harness", "value", "example", "description"), rows)


TABLES: dict[str, dict[str, Callable[[], str]]] = {
    "engines.md": {
        "lmms-eval-options": lambda: harness_options_table(LmmsEval.options),
        "lm-eval-options": lambda: harness_options_table(LmEval.options),
        "inspect-options": lambda: harness_options_table(InspectAi.options),
    },
    "configuration.md": {"settings": settings_table, "variables": variables_table},
    "http-api.md": {
        "routes": routes_table,
        "request": request_table,
        "job": job_table,
        "jobs-query": query_table,
    },
    "results.md": {"failures": failures_table},
    "cli.md": {"commands": commands_table, "submit-options": options_table},
}
"""The generated tables of each page, by the name in their markers."""


def rendered(page: str) -> str:
    """The page as it has to be. Raises ValueError when a marker is missing."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    for name, table in TABLES[page].items():
        start, end = f"<!-- generated: {name} -->", f"<!-- end: {name} -->"
        block = re.compile(re.escape(start) + ".*?" + re.escape(end), re.DOTALL)
        if not block.search(text):
            raise ValueError(f"docs/{page} has no {start} ... {end}")
        content = f"{start}\n{table()}\n{end}"
        text = block.sub(lambda _, content=content: content, text)  # type: ignore[misc]
    return text


def commands(command: click.Command, path: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, by its words."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    if command.invoke_without_command and path:
        yield path, command
    context = click.Context(command)
    for name in command.list_commands(context):
        below = command.get_command(context, name)
        if below is not None:
            yield from commands(below, f"{path} {name}".strip())


def main() -> int:
    """Write every page; returns 0."""
    for page in TABLES:
        path = ROOT / "docs" / page
        text = rendered(page)
        if text != path.read_text(encoding="utf-8"):
            path.write_text(text, encoding="utf-8")
            print(f"updated docs/{page}")
    return 0


def _default_of(setting: Field[Any]) -> str:
    if setting.name in DEFAULTS_OF_THE_MACHINE:
        return DEFAULTS_OF_THE_MACHINE[setting.name]
    return "" if setting.default is MISSING else _code(setting.default)


def _code(value: Any) -> str:
    if value in (None, (), {}):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _described(schema: Schema) -> str:
    rows = (
        (f"`{name}`", field.metadata.get("description", ""))
        for name, field in schema.fields.items()
    )
    return _table(("name", "description"), rows)


def _flags(option: click.Option) -> list[str]:
    return sorted(
        [*option.opts, *option.secondary_opts], key=lambda flag: not flag.startswith("--")
    )


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    cells = ([" ".join(cell.split()).replace("|", "\\|") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


if __name__ == "__main__":
    sys.exit(main())
