"""Who may import whom: the arrows of the architecture, as one table."""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "evalserver"


@dataclass(frozen=True)
class Layer:
    """What a part of the package may import: of ours, and of others beside the ordinary.

    Of ours, a name stands for that module and all below it, and ``store!`` for the public names
    of the package ``store`` alone. Of others, only what is guarded below has to be allowed.
    """

    ours: frozenset[str]
    guarded: frozenset[str] = frozenset()


def _layer(ours: str, guarded: str = "") -> Layer:
    return Layer(frozenset(ours.split()), frozenset(guarded.split()))


GUARDED = {
    "aiohttp", "aiosqlite", "apispec", "click", "httpx", "httpx_sse", "jinja2", "markupsafe",
    "marshmallow", "multiprocessing", "prometheus_client", "psutil", "pty", "re2", "rich",
    "sqlite3", "subprocess",
}  # fmt: skip
"""What is the business of one layer each, and of nobody else."""

ANYTHING = _layer(
    "access application attempts catalog clock data_dir descriptors disk_threads doorman engines"
    " entrance event_bus executors forecast health instruments local_socket names planning"
    " private_files progress pruner roots run_directories runner"
    " scheduler server_args server_log sockets store! submission supervision systemd tls"
    " version web",
    "aiohttp",
)

VALUES = "clock job job_id lifecycle names"

CRASH_POINT = "runner.crash_point"
"""Tests end a process there; the runner has it since it can import nothing from elsewhere."""

LAYERS = {
    # The bottom: values and functions that know nobody above them.
    "clock": _layer(""),
    "health": _layer(""),
    "supervision": _layer("health"),
    "directory_listing": _layer(""),
    "disk_threads": _layer(""),
    "lifecycle": _layer(""),
    "names": _layer(""),
    "roles": _layer(""),
    "roots": _layer(""),
    "version": _layer(""),
    "queue_index": _layer(""),
    "data_dir": _layer(""),
    "masking": _layer(""),
    "systemd": _layer(""),
    "sockets": _layer(""),
    "descriptors": _layer(""),
    "local_socket": _layer(""),
    "private_files": _layer(""),
    "tls": _layer(""),
    "server_log": _layer("masking"),
    "job": _layer("lifecycle"),
    "job_id": _layer(""),
    "merging": _layer("directory_listing job"),
    "comparison": _layer("job"),
    "plain_text": _layer(""),
    "bounded_json": _layer(""),
    "own_thread": _layer(""),
    "untrusted_files": _layer("bounded_json"),
    "eval_log": _layer("runner.files untrusted_files"),
    "checkpoints": _layer("directory_listing untrusted_files"),
    "fingerprints": _layer(
        "checkpoints directory_listing fingerprint_access roots untrusted_files"
    ),
    "fingerprint_access": _layer("directory_listing roots"),
    "provenance": _layer(
        "engines executors fingerprints job masking merging roots untrusted_files"
    ),
    "server_args": _layer("names setting_checks"),
    "setting_checks": _layer(""),
    "setting_sources": _layer("names server_args"),
    # The layers.
    "runner": _layer("runner", "subprocess"),
    "executors": _layer("executors runner untrusted_files", "subprocess psutil"),
    "engines.in_harness": _layer("", "subprocess"),
    "engines": _layer(
        "engines bounded_json job masking merging names plain_text untrusted_files", "re2"
    ),
    "store": _layer(
        f"store clock health supervision job lifecycle masking roles {CRASH_POINT}",
        "sqlite3 aiosqlite",
    ),
    "access": _layer("clock roles store! supervision"),
    "run_directories": _layer("engines job merging roots runner.files"),
    "outcome": _layer(f"engines executors runner untrusted_files version {VALUES}"),
    "catalog": _layer("directory_listing engines executors store!"),
    "outputs": _layer("engines outputs runner.output untrusted_files"),
    "event_bus": _layer("store!"),
    "instruments": _layer("job lifecycle store! version", "prometheus_client"),
    "progress": _layer(f"engines eval_log event_bus health store! supervision {VALUES}"),
    "log_tail": _layer("runner.files untrusted_files"),
    "attempts": _layer(
        "disk_threads engines executors health outcome outputs own_thread path_waits planning"
        f" progress provenance run_directories store! supervision {VALUES} {CRASH_POINT}"
    ),
    "planning": _layer("engines executors job masking merging run_directories"),
    "path_waits": _layer("checkpoints clock disk_threads job merging"),
    "scheduler": _layer(
        f"attempts disk_threads path_waits queue_index store! {VALUES} {CRASH_POINT}"
    ),
    "pruner": _layer(f"attempts store! {VALUES}"),
    "forecast": _layer(f"scheduler store! {VALUES}"),
    "submission": _layer(
        "submission access catalog checkpoints disk_threads engines merging provenance roots store!"
        f" {VALUES} {CRASH_POINT}"
    ),
    "web": _layer(
        "web access catalog checkpoints comparison disk_threads engines eval_log event_bus"
        " forecast health instruments log_tail masking merging outputs plain_text planning"
        " private_files progress provenance pruner roles roots scheduler server_args sockets"
        " submission"
        f" store! version {VALUES}"
        f" {CRASH_POINT}",
        "aiohttp apispec jinja2 markupsafe marshmallow",
    ),
    # What talks to the server knows HTTP, and nothing of the server.
    "client": _layer("client plain_text version", "httpx httpx_sse"),
    "entrance": _layer("access private_files roots server_args sockets store! web"),
    "doorman": _layer("sockets", "aiohttp"),
    # The top: who puts it all together, and who starts it.
    "application": ANYTHING,
    "http_server": ANYTHING,
    "doctor": _layer("engines executors"),
    "cli": _layer(
        "access application cli client! data_dir doctor engines http_server local_socket masking"
        " names roles server_args setting_sources store! version",
        "click httpx rich",
    ),
    "launch_server": _layer("cli"),
    "__main__": _layer("cli"),
    "": _layer("client http_server server_args version"),
}

STANDARD_LIBRARY_ONLY = ("runner", "clock", "lifecycle", "names", "queue_index", "data_dir")
"""These run where nothing of ours is installed, or are the ground that all stands on."""


def breaches(module: str, source: str) -> list[str]:
    """What a module (``store.jobs``; the package itself is ``""``) imports against the table."""
    layer = _layer_of(module)
    if layer is None:
        return [f"{module} is in no layer: give it a row in LAYERS"]
    return [f"{module} imports {name}" for name in _imported(source) if not _allowed(layer, name)]


def _layer_of(module: str) -> str | None:
    """The row for a module: that of the longest name that stands for it."""
    parts = module.split(".")
    names = (".".join(parts[:end]) for end in range(len(parts), 0, -1))
    return next((name for name in names if name in LAYERS), None)


def _allowed(layer: str, name: str) -> bool:
    top, _, rest = name.partition(".")
    if top == "evalserver":
        return any(_covers(allowed, rest) for allowed in LAYERS[layer].ours)
    if layer in STANDARD_LIBRARY_ONLY and top not in sys.stdlib_module_names:
        return False
    return top not in GUARDED - LAYERS[layer].guarded


def _covers(allowed: str, name: str) -> bool:
    if allowed.endswith("!"):
        # ``store.Store`` is a public name, ``store.jobs.submit`` and ``store.jobs`` are not.
        part, _, public = name.partition(".")
        return part == allowed[:-1] and public in _public_names(part)
    return name == allowed or name.startswith(f"{allowed}.")


def _public_names(part: str) -> list[str]:
    tree = ast.parse((PACKAGE / part / "__init__.py").read_text())
    [names] = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    public: list[str] = ast.literal_eval(names)
    return public


def _imported(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # A relative import is spelt out nowhere in this package.
            where = "evalserver.relative." if node.level else ""
            yield from (f"{where}{node.module}.{alias.name}" for alias in node.names)


def modules() -> dict[str, Path]:
    """Every module of the package by its name inside of it."""
    files = {path.relative_to(PACKAGE).with_suffix(""): path for path in PACKAGE.rglob("*.py")}
    return {
        ".".join(name.parts).removesuffix("__init__").strip("."): path
        for name, path in sorted(files.items())
    }


@pytest.mark.parametrize("module", modules())
def test_every_import_follows_the_arrows(module: str) -> None:
    assert breaches(module, modules()[module].read_text()) == []


def test_no_row_is_left_of_what_is_gone() -> None:
    assert {_layer_of(module) for module in modules()} == set(LAYERS)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("web.jobs", "import sqlite3"),
        ("web.jobs", "from evalserver.store.jobs import submit"),
        ("web.jobs", "from evalserver.store import jobs"),
        ("web.jobs", "from evalserver import store"),
        ("web.jobs", "from evalserver.executors import LocalExecutor"),
        ("web.jobs", "import evalserver.runner.supervisor"),
        ("web.jobs", "def late():\n    import subprocess"),
        ("web.jobs", "from ..store.jobs import submit"),
        ("scheduler", "from aiohttp import web"),
        ("scheduler", "import sqlite3"),
        ("store.jobs", "from evalserver.scheduler import Scheduler"),
        ("engines.base", "from subprocess import run"),
        ("engines.base", "from evalserver.executors.ask import ask"),
        ("executors.local", "from evalserver.store import Store"),
        ("executors.local", "from evalserver.engines import Paths"),
        ("runner.supervisor", "from evalserver.job import Job"),
        ("runner.supervisor", "import psutil"),
        ("lifecycle", "from evalserver.job import Job"),
        ("job", "from evalserver.store import Store"),
        ("web.jobs", "from evalserver.application import make_app"),
        ("web.jobs", "from evalserver import launch_server"),
        ("client.waiting", "from evalserver.lifecycle import Status"),
        ("client.clients", "from evalserver import ServerArgs"),
        ("client.clients", "from aiohttp import ClientSession"),
        ("web.jobs", "import httpx"),
        ("web.metrics", "from prometheus_client import Counter"),
        ("newcomer", ""),
    ],
)
def test_an_import_against_the_arrows_is_seen(module: str, source: str) -> None:
    assert len(breaches(module, source)) == 1
