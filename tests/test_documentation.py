"""What the documentation claims is there, and what is there is documented."""

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest

from evalserver.cli.main import main
from evalserver.cli.request_options import NAMES
from evalserver.cli.submit import submit
from evalserver.instruments import TABLE, Instrument
from evalserver.job import EvaluateRequest
from evalserver.lifecycle import EventKind
from evalserver.server_args import ServerArgs, flags_of
from evalserver.web.job_list import JobsQuerySchema
from evalserver.web.route import Route
from evalserver.web.routes import ROUTES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
METRICS = (ROOT / "docs" / "metrics.md").read_text()
AUDIT = (ROOT / "docs" / "audit.md").read_text()
CLI = (ROOT / "docs" / "cli.md").read_text()
COMMANDS = main.list_commands(click.Context(main))
OPTIONS = [each for each in submit.params if each.name in NAMES]
PAGES = ["README.md", *sorted(f"docs/{path.name}" for path in ROOT.glob("docs/*.md"))]


def _commands(command: click.Command, path: str = "") -> list[str]:
    if not isinstance(command, click.Group):
        return [path]
    context = click.Context(command)
    parts = ((name, command.get_command(context, name)) for name in command.list_commands(context))
    return [
        name
        for part, below in parts
        if below is not None
        for name in _commands(below, f"{path} {part}".strip())
    ]


@pytest.mark.parametrize("setting", [setting.name for setting in flags_of(ServerArgs)])
def test_every_setting_is_in_the_readme(setting: str) -> None:
    assert f"`--{setting.replace('_', '-')}`" in README


@pytest.mark.parametrize("field", [field.name for field in fields(EvaluateRequest)])
def test_every_field_of_a_request_is_in_the_readme(field: str) -> None:
    assert f"`{field}`" in README


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_every_route_is_in_the_readme(route: Route) -> None:
    assert f"`{route.method} {route.path}`" in README


@pytest.mark.parametrize("key", JobsQuerySchema._declared_fields)
def test_every_key_of_the_list_of_jobs_is_in_the_readme(key: str) -> None:
    assert f"`{key}`" in README.partition("### Finding jobs")[2]


@pytest.mark.parametrize("command", _commands(main))
def test_every_command_is_in_the_readme(command: str) -> None:
    assert re.search(rf"`evalserver {command}( [A-Z]+)*`", README)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_page_of_the_command_line(command: str) -> None:
    assert f"`{command}" in CLI.partition("## Which server")[0]


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: str(option.name))
def test_every_option_of_a_request_is_in_the_page_of_the_command_line(
    option: click.Parameter,
) -> None:
    row = rf"^\| `{option.opts[0]}[` ].*\| `{option.name}`"

    assert re.search(row, CLI, re.MULTILINE)


@pytest.mark.parametrize("event", list(EventKind))
def test_every_event_is_in_the_audit_guide(event: EventKind) -> None:
    assert f"`{event}`" in AUDIT


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_every_instrument_is_in_the_table_of_metrics(row: Instrument[Any]) -> None:
    kind = row.kind.__name__.lower()
    name = f"{row.name}_info" if kind == "info" else row.name
    labels = ", ".join(f"`{label}`" for label in row.labels) or "-"

    assert f"| `{name}` | {kind} | {labels} | {row.meaning} |" in METRICS


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_a_page_names_is_there(page: str) -> None:
    named = {word.strip("`.,:;()") for word in (ROOT / page).read_text().split() if "`" in word}
    paths = {name for name in named if name.endswith(".py") and "/" in name}

    missing = [
        name
        for name in paths
        if not any((ROOT / at / name).is_file() for at in (".", "evalserver"))
    ]

    assert not missing
