"""Only ``system.untrusted_files`` opens untrusted files; the exceptions are listed here."""

import ast
from collections.abc import Iterator

import pytest

from tests.project.test_layers import modules

OPENING_NAMES = {
    "open", "fdopen", "scandir", "walk", "listdir", "fwalk",
    "read_text", "read_bytes", "glob", "rglob", "iterdir",
}  # fmt: skip
"""Methods and functions that open a file or a directory, whatever they belong to."""

EXEMPT = ("cli", "client", "store", "trackers", "training", "runner.crash_point")
"""Packages without files of attempts."""

ALLOWED = {
    "system.untrusted_files": "opens untrusted files",
    # What an operator wrote or installed.
    "settings.sources": "the operator's settings",
    "web.api.static_files": "files of the package",
    "web.api.login": "a page of the package",
    # The server's own files, in directories that no attempt is given.
    "core.durable_files": "writes and syncs what its callers keep in directories of their own",
    "system.data_dir": "the lock of the data directory",
    "system.permissions": "names and modes of the database's files",
    "system.instance_id": "the id of the data directory, in that directory",
    "system.local_socket": "the data directory, for its socket",
    "web.pages.administration": "names, sizes and times of backups",
    "attempts.run_directories": "names of run directories, to remove them",
    # What writes into a run directory, or runs beside the harness.
    "executors.runner_start": "writes job.json and the like, through no link and never into a FIFO",
    "executors.warm.key": "names and times of evalserver's own code",
    "executors.warm.memory": "/proc",
    "executors.warm.parent": "makes the file of what a warm parent prints, in the data directory",
    "executors.slurm.hello": "runs on a node, in the directory of its job",
    "executors.slurm.runner_copy": "copies the program of the runner, which is no secret",
    "executors.slurm.unseen_files": "lists what untrusted_files has opened",
    "runner.written_files": "names and sizes, which the server compares with what it sees",
    "runner.files": "the runner knows the standard library alone; locks, and writes new files",
    "runner.output": "makes eval.log before the harness runs, and keeps it open",
    "runner.cgroups": "control files of the kernel",
    "runner.memory_limit": "control files of the kernel",
    "runner.procfs": "/proc",
    "runner.out_of_memory": "/dev/kmsg and control files of the kernel",
    "runner.launch_spec": "reads job.json before the harness runs, in the runner's process",
    "runner.watch": "names in the run directory, for the one that cancels",
    "runner.supervisor": "opens the lock before the harness runs, in the runner's process",
    "runner.warm.descriptors": "/proc",
    "runner.warm.dependencies": "metadata of the harness's packages, in the harness's interpreter",
    "runner.warm.ending": "/proc, as the harness",
    "runner.warm.fingerprint": "names and states of the harness's own files, and /proc",
    "runner.warm.identity": "/proc",
    "runner.warm.in_place": "runs as the harness",
    "runner.warm.loading": "/proc",
    "runner.warm.parent": "runner.log before the harness runs, through no link; and /proc",
    "engines.in_harness.harness_files": "runs as the harness",
    "engines.in_harness.installation": "runs as the harness",
    "engines.in_harness.inspect_launcher": "runs as the harness",
    "engines.in_harness.lm_eval_launcher": "runs as the harness",
    "engines.in_harness.lmms_eval_launcher": "runs as the harness",
    "engines.in_harness.merge_checkpoint": "runs as the harness",
    # Names and times of checkpoints and tasks; their contents by untrusted_files or for a hash.
    "system.directory_listing": "names, sizes and times of checkpoints' files and task definitions",
    "checkpoints.leases.planning": "names of directories, as far as the listing has bounded them",
    "checkpoints.leases.files": "directories of leases, one below the other through no link",
    "checkpoints.leases.marks": "marks of leases, through no link and without blocking",
    "checkpoints.leases.records": "the records of leases, in the data directory",
    "core.lease_marks": "runs in trainers; regular files only, without blocking",
    # Calls that only have the same name.
    "outputs.artifacts": "lists what untrusted_files has opened",
    "outputs.zip_stream": "entries of the archive that it makes",
    "engines.env_profiles": "the operator's files of secrets, regular ones only, without blocking",
    "gpus.inventory": "names below /proc/driver",
    "gpus.processes": "/proc",
    "server.application": "Store.open",
    "web.streams.event_stream": "_StreamWriter.open",
    "web.security.authorization": "AccessPolicy.open",
    "web.api.permissions": "AccessPolicy.open",
}
"""Modules that open files themselves, and why they may."""

NAMES_THE_LOG = {
    "system.attempt_log": "opens the log for everybody who reads it",
    "runner.files": "defines the name",
    "runner.attempt": "creates the log",
}
"""Modules that know the name of an attempt's log, and why. Nobody else can open it."""


def find_opening_calls(source: str) -> Iterator[str]:
    """Yield the calls with which a module opens files, with their lines."""
    for node in ast.walk(ast.parse(source)):
        # Also where a function is handed to a thread, and not called.
        if isinstance(node, ast.Attribute):
            found = node.attr in OPENING_NAMES or ast.unparse(node) == "json.load"
        else:
            found = isinstance(node, ast.Name) and node.id in ("open", "scandir")
        if found:
            yield f"line {getattr(node, 'lineno', 0)}: {ast.unparse(node)}"


def _checked_modules() -> list[str]:
    return [
        name
        for name in modules()
        if not any(name == part or name.startswith(f"{part}.") for part in EXEMPT)
    ]


@pytest.mark.parametrize("module", sorted({*_checked_modules()} - {*ALLOWED}))
def test_no_other_module_opens_files_itself(module: str) -> None:
    assert list(find_opening_calls(modules()[module].read_text())) == []


@pytest.mark.parametrize("module", ALLOWED)
def test_every_listed_module_still_opens_files(module: str) -> None:
    assert list(find_opening_calls(modules()[module].read_text()))


def test_the_log_of_an_attempt_is_opened_in_one_place() -> None:
    naming = {name for name, path in modules().items() if _names_the_log(path.read_text())}

    assert naming == {*NAMES_THE_LOG}


def _names_the_log(source: str) -> bool:
    return any(
        (isinstance(node, ast.Name) and node.id == "LOG_FILE")
        or (isinstance(node, ast.Constant) and node.value == "eval.log")
        for node in ast.walk(ast.parse(source))
    )


@pytest.mark.parametrize(
    "source",
    [
        "open(path)",
        "path.open('rb')",
        "os.open(path, os.O_RDONLY)",
        "path.read_text()",
        "read = (run_dir / 'exit.json').read_bytes()",
        "json.load(file)",
        "to_thread(path.read_text)",
        "max(folder.glob('*.json'))",
        "os.scandir(path)",
    ],
)
def test_an_opening_call_is_detected(source: str) -> None:
    assert len(list(find_opening_calls(source))) == 1
