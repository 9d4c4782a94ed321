"""``evalserver doctor``: checking whether engines and executors work, and what to do if not."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evalserver.cli.doctor_executors import as_record as executor_record
from evalserver.cli.doctor_executors import diagnose as diagnose_executors
from evalserver.cli.doctor_executors import report as report_executor
from evalserver.cli.doctor_executors import unknown_executor
from evalserver.cli.screens import as_json, print_json
from evalserver.cli.settings import HELP_OPTIONS, settings_from_options, with_settings

WARM_STARTS = {
    "tried": "warm starts were tried with this version",
    "untried": 'warm starts were not tried with this version: only with warm = "preload"',
    "unavailable": "always started cold",
}

if TYPE_CHECKING:
    from evalserver.engines import Engine
    from evalserver.harnesses.doctor import Diagnosis
    from evalserver.settings.server_args import ServerArgs


@click.command(context_settings=HELP_OPTIONS)
@click.argument("names", nargs=-1, metavar="[ENGINE|EXECUTOR]...")
@with_settings(
    "engine_python",
    "default_engine",
    "default_executor",
    "include_path",
    "engine_env",
    "memory_per_job",
    "data_dir",
)
@click.option(
    "--wait",
    type=click.FloatRange(min=1),
    default=60,
    metavar="SECONDS",
    show_default=True,
    help="How long the job on a cluster may wait for its start.",
)
@as_json
def doctor(
    names: tuple[str, ...], config: Path | None, wait: float, as_json: bool, **flags: Any
) -> None:
    """Check whether engines and executors work.

    Says what to do about one that does not. Checks imports, version, GPUs, tasks and keys of each
    ENGINE, the env_profiles of the TOML file, and each EXECUTOR with a table there, by default all
    of them. On a Slurm cluster a small job is run, as evaluations would be, and removed. Keys are
    those in the environment of this command, which may differ from the server's; only names are
    shown. Exit code 1 if an env_profile is invalid, if an executor does not work or had no place
    for the job, or if a configured engine does not work: one given here, one with a table in the
    TOML file, or the default engine.
    """
    args = settings_from_options(config, flags)
    engines, executors = _split_names(args, names)
    configured = {*engines} or {args.default_engine, *args.engines}
    hidden, profiles = _keys_not_passed(args), _check_profiles(args)
    found = _diagnose(args, engines, profiles) if engines or not names else []
    clusters = diagnose_executors(args, executors, wait) if executors or not names else []
    limits_memory = _limits_memory(args)
    if as_json:
        memory = {"bytes": args.memory_per_job, "has_effect": limits_memory}
        shared = {"keys_not_passed": hidden, "env_profiles": profiles, "memory_per_job": memory}
        records = [{**asdict(each), "works": each.works, **shared} for each in found]
        print_json([*records, *map(executor_record, clusters)])
    else:
        of_engines = (line for each in found for line in _report(each, configured))
        of_clusters = (line for each in clusters for line in report_executor(each))
        of_memory = _report_memory(args.memory_per_job, has_effect=limits_memory)
        others = (*_report_profiles(profiles), *_report_keys(hidden), *of_memory)
        click.echo("\n".join((*of_engines, *of_clusters, *others)))
    broken = any(each.engine in configured and not each.works for each in found)
    if broken or any(each["problem"] for each in profiles) or not all(e.works for e in clusters):
        raise click.exceptions.Exit(1)


def _split_names(args: "ServerArgs", names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return which of the names are engines, and which executors; one may be both."""
    from evalserver.engines import all_tables

    tables = all_tables(args.engines)
    for name in names:
        if name not in tables and name not in args.executors:
            known = "; executors: ".join(map(", ".join, filter(None, (tables, args.executors))))
            what = "engine or executor" if args.executors else "engine"
            raise click.UsageError(f"There is no {what} {name!r}; known: {known}")
    return [n for n in names if n in tables], [n for n in names if n in args.executors]


def _diagnose(
    args: "ServerArgs", names: Sequence[str], profiles: Sequence[dict[str, Any]]
) -> "list[Diagnosis]":
    import asyncio

    from evalserver.core.diagnosis import Finding
    from evalserver.engines import all_tables, make_engine
    from evalserver.engines.environment import harness_environment
    from evalserver.executors import LocalExecutor
    from evalserver.harnesses.doctor import Diagnosis, diagnose_all

    tables = all_tables(args.engines)
    engines: list[Engine] = []
    invalid: list[Diagnosis] = []
    for name in names or tables:
        try:
            engines.append(make_engine(name, tables[name], args.engine_python, args.include_path))
        except ValueError as error:
            finding = Finding(str(error), "correct the TOML file")
            invalid.append(Diagnosis(name, tables[name].get("type", name), findings=(finding,)))
    environment = harness_environment(os.environ, args.engine_env)
    found = asyncio.run(diagnose_all(engines, environment, LocalExecutor()))
    found = list(map(partial(_add_default_profile, profiles), found, engines))
    return [*map(partial(_add_executor, args), found, engines), *invalid]


def _add_executor(args: "ServerArgs", diagnosis: "Diagnosis", engine: "Engine") -> "Diagnosis":
    """Return the diagnosis with a finding if the engine's executor does not exist."""
    from evalserver.core.diagnosis import Finding

    name = engine.settings.executor
    if name is None or (fault := unknown_executor(args, name)) is None:
        return diagnosis
    finding = Finding(f"engines.{engine.name}.executor: {fault}", "correct the TOML file")
    return replace(diagnosis, findings=(*diagnosis.findings, finding))


def _add_default_profile(
    profiles: Sequence[dict[str, Any]], diagnosis: "Diagnosis", engine: "Engine"
) -> "Diagnosis":
    """Return the diagnosis with the keys of the profile that is the engine's default."""
    from evalserver.core.diagnosis import Finding

    name = engine.settings.defaults.get("env_profile")
    if name is None:
        return diagnosis
    for each in profiles:
        if each["name"] == name:
            return replace(diagnosis, keys=tuple(sorted({*diagnosis.keys, *each["keys"]})))
    finding = Finding(f"its default env_profile {name!r} does not exist", "correct the TOML file")
    return replace(diagnosis, findings=(*diagnosis.findings, finding))


def _keys_not_passed(args: "ServerArgs") -> list[str]:
    from evalserver.engines.environment import harness_environment, keys_not_passed

    return keys_not_passed(os.environ, harness_environment(os.environ, args.engine_env))


def _check_profiles(args: "ServerArgs") -> list[dict[str, Any]]:
    from evalserver.engines.env_profiles import read_profiles
    from evalserver.engines.variables import is_secret_variable

    checked = []
    for name, table in args.env_profiles.items():
        found: dict[str, Any] = dict.fromkeys(("name", "variables", "keys", "roles", "problem"))
        found |= {"name": name, "variables": [], "keys": []}
        try:
            profile = read_profiles({name: table})[name]
            found["variables"] = list(profile.variables)
            found["keys"] = [
                each
                for each in profile.variables
                if each in profile.files or is_secret_variable(each)
            ]
            found["roles"] = None if profile.roles is None else sorted(profile.roles)
            profile.load()
        except ValueError as error:
            found["problem"] = str(error)
        checked.append(found)
    return checked


def _limits_memory(args: "ServerArgs") -> bool | None:
    """Return whether ``memory_per_job`` has an effect; None if it is not set."""
    from evalserver.executors import can_limit_memory

    return None if args.memory_per_job is None else can_limit_memory()


def _report_memory(limit: int | None, *, has_effect: bool | None) -> Iterator[str]:
    if has_effect is None:
        return
    yield f"memory_per_job {limit}: {'ok' if has_effect else 'HAS NO EFFECT'}"
    if not has_effect:
        yield f"  {'problem':<9} this command cannot create cgroups that limit memory"
        yield f"  {'to do':<9} see 'Memory of evaluations' in docs/operating.md"


def _report_profiles(profiles: Sequence[dict[str, Any]]) -> Iterator[str]:
    for each in profiles:
        yield f"env_profile {each['name']}: {'DOES NOT WORK' if each['problem'] else 'ok'}"
        facts = {
            "variables": ", ".join(each["variables"]),
            "roles": ", ".join(each["roles"] or ()),
            "problem": each["problem"],
        }
        yield from (f"  {name:<9} {fact}" for name, fact in facts.items() if fact)


def _report_keys(hidden: Sequence[str]) -> Iterator[str]:
    if hidden:
        yield f"These variables look like keys, and reach no harness: {', '.join(hidden)}"
        yield f"  {'to do':<9} if a harness needs one, name it in --engine-env or an env_profile"


def _report(diagnosis: "Diagnosis", configured: set[str]) -> Iterator[str]:
    state = (
        "ok"
        if diagnosis.works
        else ("DOES NOT WORK" if diagnosis.engine in configured else "not set up")
    )
    kind = "" if diagnosis.type == diagnosis.engine else f" ({diagnosis.type})"
    yield f"{diagnosis.engine}{kind}: {state}"
    facts = {
        "program": diagnosis.program,
        "harness": _harness(diagnosis),
        "Python": diagnosis.python,
        "packages": ", ".join(f"{name} {version}" for name, version in diagnosis.packages.items()),
        "GPUs": _gpus(diagnosis),
        "tasks": diagnosis.tasks,
        "models": diagnosis.models,
        "warm": WARM_STARTS.get(diagnosis.warm_start or "") if diagnosis.works else None,
        "keys set": ", ".join(diagnosis.keys) or ("none" if diagnosis.works else None),
    }
    for name, fact in facts.items():
        if fact not in (None, ""):
            yield f"  {name:<9} {fact}"
    for finding in diagnosis.findings:
        yield f"  {'problem' if finding.grave else 'note':<9} {finding.what}"
        yield f"  {'to do':<9} {finding.do}"


def _harness(diagnosis: "Diagnosis") -> str | None:
    if diagnosis.location is None:
        return None
    commit = f", commit {diagnosis.commit}" if diagnosis.commit else ""
    version = diagnosis.version or "of unknown version"
    return f"{diagnosis.harness} {version}{commit}, in {diagnosis.location}"


def _gpus(diagnosis: "Diagnosis") -> str | None:
    if diagnosis.python is None:
        return None
    found = ", ".join(diagnosis.gpus) or "none found by nvidia-smi"
    return found if diagnosis.gpus_seen is None else f"{found}; torch sees {diagnosis.gpus_seen}"
