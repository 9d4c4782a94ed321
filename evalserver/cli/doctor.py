"""``evalserver doctor``: can each engine work, and what is to be done where one cannot?"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evalserver.cli.screens import as_json, print_json
from evalserver.cli.settings import HELP_NAMES, given_settings, with_settings

if TYPE_CHECKING:
    from evalserver.engines import Engine
    from evalserver.harnesses.doctor import Diagnosis
    from evalserver.settings.server_args import ServerArgs


@click.command(context_settings=HELP_NAMES)
@click.argument("engines", nargs=-1, metavar="[ENGINE]...")
@with_settings("engine_python", "default_engine", "include_path", "engine_env")
@as_json
def doctor(engines: tuple[str, ...], config: Path | None, as_json: bool, **flags: Any) -> None:
    """Check whether engines can work, and say what to do.

    Each ENGINE, or all if none is named: imports, version, GPUs, tasks.
    Exit code 1 if one that is set up cannot work: one that was named here, one with a table in
    the TOML file, or the default one.
    """
    args = given_settings(config, flags)
    wanted = {*engines} or {args.default_engine, *args.engines}
    found = _diagnosed(args, engines)
    if as_json:
        print_json([{**asdict(each), "works": each.works} for each in found])
    else:
        click.echo("\n".join(line for each in found for line in _told(each, wanted)))
    if any(each.engine in wanted and not each.works for each in found):
        raise click.exceptions.Exit(1)


def _diagnosed(args: "ServerArgs", names: Sequence[str]) -> "list[Diagnosis]":
    import asyncio

    from evalserver.engines import all_tables, make_engine
    from evalserver.engines.environment import harness_environment
    from evalserver.executors import LocalExecutor
    from evalserver.harnesses.doctor import Diagnosis, Finding, diagnose_all

    tables = all_tables(args.engines)
    for name in names:
        if name not in tables:
            raise click.UsageError(f"There is no engine {name!r}; known: {', '.join(tables)}")
    made: list[Engine] = []
    refused: list[Diagnosis] = []
    for name in names or tables:
        try:
            made.append(make_engine(name, tables[name], args.engine_python, args.include_path))
        except ValueError as error:
            finding = Finding(str(error), "correct the TOML file")
            refused.append(Diagnosis(name, tables[name].get("type", name), findings=(finding,)))
    environment = harness_environment(os.environ, args.engine_env)
    return [*asyncio.run(diagnose_all(made, environment, LocalExecutor())), *refused]


def _told(seen: "Diagnosis", wanted: set[str]) -> Iterator[str]:
    state = "ok" if seen.works else ("CANNOT WORK" if seen.engine in wanted else "not set up")
    kind = "" if seen.type == seen.engine else f" ({seen.type})"
    yield f"{seen.engine}{kind}: {state}"
    facts = {
        "program": seen.program,
        "harness": _harness(seen),
        "Python": seen.python,
        "packages": ", ".join(f"{name} {version}" for name, version in seen.packages.items()),
        "GPUs": _gpus(seen),
        "tasks": seen.tasks,
        "models": seen.models,
    }
    for name, fact in facts.items():
        if fact not in (None, ""):
            yield f"  {name:<9} {fact}"
    for finding in seen.findings:
        yield f"  {'problem' if finding.grave else 'note':<9} {finding.what}"
        yield f"  {'to do':<9} {finding.do}"


def _harness(seen: "Diagnosis") -> str | None:
    if seen.version is None:
        return None
    commit = f", commit {seen.commit}" if seen.commit else ""
    return f"{seen.harness} {seen.version}{commit}"


def _gpus(seen: "Diagnosis") -> str | None:
    if seen.python is None:
        return None
    there = ", ".join(seen.gpus) or "none found by nvidia-smi"
    return there if seen.gpus_seen is None else f"{there}; torch sees {seen.gpus_seen}"
