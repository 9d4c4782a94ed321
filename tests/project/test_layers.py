"""Which package may import which: the layers of the architecture, as one table."""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "evalserver"


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
    "lightning", "lmms_engine", "marshmallow", "mlflow", "multiprocessing", "prometheus_client",
    "psutil", "pty", "pynvml", "re2", "rich", "sqlite3", "subprocess", "tensorboardX", "torch",
    "transformers", "wandb",
}  # fmt: skip
"""What is the business of one layer each, and of nobody else."""

CRASH_POINT = "runner.crash_point"
"""Tests end a process there; the runner has it since it can import nothing from elsewhere."""

LAYERS = {
    # The ground: values, the operating system, and what runs beside the harness.
    "version": _layer(""),
    "core.clock": _layer(""),
    "core.durable_files": _layer(""),
    "core.lease_marks": _layer(""),
    "core.lifecycle": _layer(""),
    "core.request": _layer("core.request_fields"),
    "core.request_fields": _layer(""),
    "core.suggestions": _layer(""),
    "core": _layer("core"),
    "runner": _layer("runner", "subprocess"),
    "system.data_dir": _layer(""),
    "system.attempt_log": _layer("runner.files system"),
    "system": _layer("system core"),
    "settings": _layer("settings core"),
    "store": _layer(f"store core {CRASH_POINT}", "sqlite3 aiosqlite"),
    "checkpoints": _layer("checkpoints core system"),
    "executors": _layer("executors core runner system", "subprocess psutil"),
    "analysis": _layer("analysis core"),
    "auth": _layer("auth core store!"),
    # What knows harnesses, and what they left.
    "engines.in_harness": _layer("", "subprocess"),
    "engines": _layer("engines checkpoints core runner.launch_spec system", "re2"),
    "outputs": _layer("outputs core engines runner.output system"),
    "gates": _layer("gates analysis core engines outputs store!"),
    "harnesses": _layer("harnesses core engines executors store! system"),
    "gpus": _layer(
        "gpus core runner.cgroups runner.files runner.launch_spec runner.procfs store! system"
    ),
    "gpus.nvml": _layer("", "pynvml"),
    "monitoring": _layer("monitoring core engines runner.files store! system"),
    "monitoring.instrument": _layer("", "prometheus_client"),
    "monitoring.gpu_metrics": _layer("monitoring.instrument", "prometheus_client"),
    "monitoring.cluster_metrics": _layer("monitoring.instrument", "prometheus_client"),
    "monitoring.warm_metrics": _layer("monitoring.instrument", "prometheus_client"),
    "monitoring.webhook_metrics": _layer("monitoring.instrument", "prometheus_client"),
    "monitoring.prometheus": _layer(
        "core monitoring.cluster_metrics monitoring.gpu_metrics monitoring.instrument"
        " monitoring.warm_metrics monitoring.webhook_metrics runner.launch_spec store! version",
        "prometheus_client",
    ),
    # Jobs: run, put in order, taken in.
    "attempts": _layer(
        "attempts checkpoints core engines executors monitoring outputs runner.files store! system"
        f" version {CRASH_POINT}"
    ),
    "scheduling.slots": _layer("core.job"),
    "scheduling.order": _layer("core.job scheduling.queue_index scheduling.slots"),
    "scheduling.queue_estimate": _layer(""),
    "scheduling.newest_first": _layer("core.job"),
    "scheduling.queue_index": _layer("core.job scheduling.newest_first scheduling.slots"),
    "scheduling": _layer(
        f"scheduling attempts checkpoints core executors.base gpus store! system {CRASH_POINT}"
    ),
    "submission": _layer(
        "submission attempts.provenance auth checkpoints core engines executors.settings harnesses"
        " store! system"
        f" {CRASH_POINT}"
    ),
    "followers": _layer(f"followers attempts.retry core engines gates store! {CRASH_POINT}"),
    "followers.webhooks": _layer("followers attempts.retry core store! version", "aiohttp"),
    # HTTP, on both ends. What talks to the server knows nothing of the server.
    "web": _layer(
        "web analysis attempts.failures attempts.launch attempts.provenance attempts.retention auth"
        " checkpoints core engines executors.base executors.settings executors.warm"
        " followers.webhooks gates gpus harnesses monitoring outputs scheduling settings store!"
        f" submission system version {CRASH_POINT}",
        "aiohttp apispec jinja2 markupsafe marshmallow",
    ),
    "client": _layer(
        "client core.lease_marks core.plain_text core.request core.series version",
        "httpx httpx_sse",
    ),
    "trackers": _layer(
        "trackers client! core.durable_files core.masking core.model_title",
        "mlflow tensorboardX wandb",
    ),
    "training": _layer("training client! client.errors"),
    "training.huggingface": _layer("training", "transformers"),
    "training.lightning": _layer("training", "lightning"),
    # The top: what puts it all together, and what starts it.
    "server": _layer(
        "server analysis attempts auth checkpoints.leases core engines executors followers gates"
        " gpus harnesses monitoring runner scheduling settings store! submission system version"
        " web",
        "aiohttp",
    ),
    "cli": _layer(
        "cli auth client! core engines executors! executors.doctor executors.settings"
        " harnesses.doctor harnesses.node_needs server.cannot_start server.http_server"
        " server.places settings store! system trackers! version",
        "click httpx rich",
    ),
    "server_args": _layer("settings.server_args"),
    "http_server": _layer("server.http_server"),
    "launch_server": _layer("cli"),
    "__main__": _layer("cli"),
    "": _layer("client server.http_server settings.server_args version"),
}

STANDARD_LIBRARY_ONLY = (
    "runner", "core.clock", "core.lifecycle", "core.request", "core.request_fields",
    "core.suggestions", "scheduling.queue_index", "system.data_dir",
)  # fmt: skip
"""These run where nothing of ours is installed, or are the ground that all stands on."""

AT_THE_ROOT = {"", "__main__", "http_server", "launch_server", "server_args", "version"}
"""Modules outside of any package: how the program starts, and what lmms-eval's users import."""


def find_violations(module: str, source: str) -> list[str]:
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


@cache
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


@cache
def modules() -> dict[str, Path]:
    """Every module of the package by its name inside of it."""
    files = {path.relative_to(PACKAGE).with_suffix(""): path for path in PACKAGE.rglob("*.py")}
    return {
        ".".join(name.parts).removesuffix("__init__").strip("."): path
        for name, path in sorted(files.items())
    }


def packages() -> dict[str, set[str]]:
    """The packages at the root, and which others each of them imports."""
    found: dict[str, set[str]] = {}
    for module, path in modules().items():
        package = module.partition(".")[0]
        if package in AT_THE_ROOT:
            continue
        names = (name.split(".") for name in _imported(path.read_text()))
        ours = {parts[1] for parts in names if parts[0] == "evalserver" and len(parts) > 1}
        found.setdefault(package, set()).update(ours - AT_THE_ROOT - {package})
    return found


def test_packages_import_each_other_in_one_direction() -> None:
    order = tuple(TopologicalSorter(packages()).static_order())  # raises CycleError

    assert set(order) == set(packages())


def test_every_module_is_in_a_package() -> None:
    assert {module for module in modules() if "." not in module} - set(packages()) == AT_THE_ROOT


@pytest.mark.parametrize("module", modules())
def test_every_import_follows_the_layers(module: str) -> None:
    assert find_violations(module, modules()[module].read_text()) == []


def test_every_row_has_a_module() -> None:
    assert {_layer_of(module) for module in modules()} == set(LAYERS)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("web.api.jobs", "import sqlite3"),
        ("web.api.jobs", "from evalserver.store.jobs import submit"),
        ("web.api.jobs", "from evalserver.store import jobs"),
        ("web.api.jobs", "from evalserver import store"),
        ("web.api.jobs", "from evalserver.executors import LocalExecutor"),
        ("web.api.jobs", "import evalserver.runner.supervisor"),
        ("web.api.jobs", "def late():\n    import subprocess"),
        ("web.api.jobs", "from ..store.jobs import submit"),
        ("scheduling.scheduler", "from aiohttp import web"),
        ("scheduling.scheduler", "import sqlite3"),
        ("store.jobs", "from evalserver.scheduling.scheduler import Scheduler"),
        ("engines.base", "from subprocess import run"),
        ("engines.base", "from evalserver.executors.ask import ask"),
        ("executors.local", "from evalserver.store import Store"),
        ("executors.local", "from evalserver.engines import Paths"),
        ("runner.supervisor", "from evalserver.core.job import Job"),
        ("runner.supervisor", "import psutil"),
        ("core.lifecycle", "from evalserver.core.job import Job"),
        ("core.job", "from evalserver.store import Store"),
        ("web.api.jobs", "from evalserver.server.application import make_app"),
        ("web.api.jobs", "from evalserver import launch_server"),
        ("client.waiting", "from evalserver.core.lifecycle import Status"),
        ("client.clients", "from evalserver import ServerArgs"),
        ("client.clients", "from aiohttp import ClientSession"),
        ("web.api.jobs", "import httpx"),
        ("web.api.metrics", "from prometheus_client import Counter"),
        ("gpus.monitor", "import pynvml"),
        ("training.lightning", "from transformers import Trainer"),
        ("training.evaluation", "import torch"),
        ("newcomer", ""),
    ],
)
def test_a_forbidden_import_is_detected(module: str, source: str) -> None:
    assert len(find_violations(module, source)) == 1
