"""The part of ``evalserver doctor`` about executors: runs the checks, and shows what they found."""

import signal
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evalserver.cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from evalserver.engines import Engine
    from evalserver.executors.doctor import ExecutorDiagnosis
    from evalserver.settings.server_args import ServerArgs

STATES = {True: "ok", False: "DOES NOT WORK", None: "NOT KNOWN"}


def diagnose(
    args: "ServerArgs", names: Sequence[str], wait_s: float
) -> "Sequence[ExecutorDiagnosis]":
    """Check the executors of these names; all of the settings, if there are none.

    An interrupt ends the command when nothing of the checks is left on a cluster.
    """
    from evalserver.core.diagnosis import Finding
    from evalserver.executors.doctor import ExecutorDiagnosis, diagnose_executors
    from evalserver.server.places import runs_dir_of

    tables = {name: args.executors[name] for name in names or args.executors}
    found = []
    if tables:
        engines = _configured_engines(args)
        found = _run_interruptibly(
            lambda: diagnose_executors(
                tables,
                runs_dir_of(args),
                lambda name: _needs(engines, name, args.default_executor),
                wait_s,
                lambda what: click.echo(what, err=True),
            )
        )
    fault = None if names else unknown_executor(args, args.default_executor)
    if fault is not None:
        finding = Finding(f"default_executor: {fault}", "correct the TOML file")
        found.append(ExecutorDiagnosis(args.default_executor, None, findings=(finding,)))
    return found


def unknown_executor(args: "ServerArgs", name: str) -> str | None:
    """Return a sentence that says which executors there are, unless there is this one."""
    from evalserver.core.job import LOCAL
    from evalserver.executors.settings import require_executor

    return require_executor(name, {LOCAL: None, **args.executors})


def as_record(diagnosis: "ExecutorDiagnosis") -> dict[str, Any]:
    """Return the diagnosis for ``--json``."""
    return {**asdict(diagnosis), "works": diagnosis.works}


def report(diagnosis: "ExecutorDiagnosis") -> Iterator[str]:
    """Yield the lines that show a diagnosis."""
    kind = "" if diagnosis.type in (None, diagnosis.executor) else f" ({diagnosis.type})"
    yield f"executor {diagnosis.executor}{kind}: {STATES[diagnosis.works]}"
    facts = {
        "Slurm": _joined(diagnosis.version, diagnosis.cluster and f"cluster {diagnosis.cluster}"),
        "run_root": _joined(diagnosis.run_root, diagnosis.file_system),
        "job": _job(diagnosis),
        "Python": diagnosis.python,
        "user": diagnosis.user,
        "GPUs": diagnosis.gpus,
        "files": _files(diagnosis),
    }
    yield from (f"  {name:<9} {fact}" for name, fact in facts.items() if fact)
    for finding in diagnosis.findings:
        yield f"  {'problem' if finding.grave else 'note':<9} {finding.what}"
        yield f"  {'to do':<9} {finding.do}"


def _joined(*parts: str | None) -> str:
    return ", ".join(part for part in parts if part)


def _job(diagnosis: "ExecutorDiagnosis") -> str | None:
    if diagnosis.job is None:
        return None
    node = diagnosis.node or "a node"
    host = "" if diagnosis.host in (None, node) else f", whose host name is {diagnosis.host}"
    return f"{diagnosis.job} ran on {node}{host}"


def _files(diagnosis: "ExecutorDiagnosis") -> str | None:
    if diagnosis.delay_s is None or diagnosis.clock_ahead_s is None:
        return None
    return (
        f"appear on the other side after {diagnosis.delay_s:.2f} s; the node's clock is"
        f" {diagnosis.clock_ahead_s:+.2f} s from this one"
    )


def _configured_engines(args: "ServerArgs") -> "list[Engine]":
    """Return the engines that somebody set up and that can be made: the check of engines reports
    the others."""
    import contextlib

    from evalserver.engines import all_tables, make_engine

    tables = all_tables(args.engines)
    engines = []
    for name in {args.default_engine: None, **args.engines}:
        with contextlib.suppress(ValueError):
            table = tables.get(name, {})
            engines.append(make_engine(name, table, args.engine_python, args.include_path))
    return engines


def _needs(engines: "Sequence[Engine]", executor: str, default_executor: str) -> Any:
    from evalserver.harnesses.node_needs import node_needs

    return node_needs(engines, executor, default_executor, Path.cwd())


def _run_interruptibly(start: Any) -> Any:
    """Run to the end; the first interrupt cancels it, and further ones change nothing."""
    import asyncio

    async def run() -> Any:
        task = asyncio.ensure_future(start())

        def interrupt() -> None:
            if not task.cancelling():
                click.echo("Interrupted: removing what was started on clusters.", err=True)
                task.cancel()

        loop = asyncio.get_running_loop()
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(signum, interrupt)
        await asyncio.wait([task])
        return task

    task = asyncio.run(run())
    if task.cancelled():
        raise click.exceptions.Exit(ExitCode.INTERRUPTED)
    return task.result()
