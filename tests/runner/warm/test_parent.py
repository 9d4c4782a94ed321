"""When a warm parent starts an attempt, and when it refuses."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evalserver.runner import crash_point, files
from evalserver.runner.launch_spec import GPU_VARIABLES
from evalserver.runner.procfs import command_line
from tests.runner.runs import is_running, runner_of
from tests.runner.warm.driver import WarmParent, prepare
from tests.runner.warm.harness import TinyHarness, ended
from tests.support import WAIT_SECONDS, until

PRINT_ONE = "import tiny.numbers; print(tiny.numbers.ONE)"
RUNNER_ENDED = 1
WAITS = "import time\nprint('ready', flush=True)\ntime.sleep(10_000)"


def _append(path: Path, text: str = "# more\n") -> None:
    with path.open("a") as file:
        file.write(text)


def _upgrade(tiny: TinyHarness) -> None:
    old = tiny.packages / "tiny-1.0.dist-info"
    shutil.copytree(old, tiny.packages / "tiny-1.1.dist-info")
    shutil.rmtree(old)


def _same_size_and_time(tiny: TinyHarness) -> None:
    path = tiny.package / "numbers.py"
    status = path.stat()
    path.write_text("ONE = 2\n")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _add_hidden_task(tiny: TinyHarness) -> None:
    (tiny.tasks / ".drafts").mkdir()
    _append(tiny.tasks / ".drafts" / "two.yaml")


CHANGES: dict[str, Callable[[TinyHarness], None]] = {
    "a task's YAML is edited": lambda tiny: _append(tiny.package / "task.yaml"),
    "a module that was imported is edited": lambda tiny: _append(tiny.package / "numbers.py"),
    "a module is edited, and keeps its size and time": _same_size_and_time,
    "a file of the package is added": lambda tiny: _append(tiny.package / "new.yaml"),
    "a file of the package is removed": lambda tiny: (tiny.package / "task.yaml").unlink(),
    "the package is upgraded": _upgrade,
    "the metadata is edited":
        lambda tiny: _append(tiny.packages / "tiny-1.0.dist-info" / "METADATA"),
    "another package is installed": lambda tiny: (tiny.packages / "other-2.dist-info").mkdir(),
    "a module comes before another one": lambda tiny: _append(tiny.cwd / "json.py"),
    "a task of the include path is edited": lambda tiny: _append(tiny.tasks / "one.yaml"),
    "a task of the include path is added": lambda tiny: _append(tiny.tasks / "two.yaml"),
    "a file that was read at import is edited": lambda tiny: _append(tiny.place / "data.txt"),
    "a file that was missing at import appears": lambda tiny: _append(tiny.place / ".env"),
    "a directory that was looked for at import appears": lambda tiny: (tiny.place / "conf").mkdir(),
    "a directory that was listed at import gets a file":
        lambda tiny: _append(tiny.place / "a" / "b"),
    "a hidden task of the include path is added": _add_hidden_task,
}  # fmt: skip
"""What makes a parent refuse."""

LINKS = {"the include path": ("tasks", "."), "a directory of modules": ("packages", "tiny")}
"""Directories that are links, and where in them a file is added."""


@pytest.mark.parametrize("what", LINKS)
def test_a_parent_refuses_when_a_link_leads_elsewhere(what: str, tiny: TinyHarness) -> None:
    """To files that are the same, and one more, as in a release that is made of hard links."""
    name, folder = LINKS[what]
    link = tiny.place / name
    releases = [tiny.place / f"release-{number}" for number in (1, 2)]
    link.rename(releases[0])
    link.symlink_to(releases[0])
    shutil.copytree(releases[0], releases[1], copy_function=os.link)
    _append(releases[1] / folder / "another.yaml")
    with tiny.parent(include=True) as parent:
        assert parent.ready()["ready"]
        link.unlink()
        link.symlink_to(releases[1])

        answer = parent.start(tiny.prepare(PRINT_ONE))

    assert answer == {"refused": f"{link / folder / 'another.yaml'} is new"}


HARMLESS: dict[str, Callable[[TinyHarness], None]] = {
    "bytecode is written": lambda tiny: (tiny.package / "__pycache__").mkdir(exist_ok=True),
    "a harness writes into the working directory": lambda tiny: (tiny.cwd / "results").mkdir(),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_parent_refuses_when(what: str, tiny: TinyHarness) -> None:
    (tiny.place / "data.txt").write_text("data\n")
    (tiny.place / "a").mkdir()
    tiny.set_preload(
        f"    open({str(tiny.place / 'data.txt')!r}).read()\n"
        f"    os.listdir({str(tiny.place / 'a')!r}), os.path.isdir({str(tiny.place / 'conf')!r})\n"
        f"    try: open({str(tiny.place / '.env')!r})\n"
        "    except OSError: pass\n"
    )
    with tiny.parent(include=True) as parent:
        assert parent.ready()["ready"]
        CHANGES[what](tiny)

        answer = parent.start(tiny.prepare(PRINT_ONE))

        assert set(answer) == {"refused"}, answer
        assert parent.process.wait(WAIT_SECONDS) == 0


@pytest.mark.parametrize("what", HARMLESS)
def test_a_parent_goes_on_when(what: str, tiny: TinyHarness) -> None:
    with tiny.parent(include=True) as parent:
        parent.ready()
        HARMLESS[what](tiny)

        end = tiny.run_warm(parent, tiny.prepare(PRINT_ONE))

    assert end.log == "1\n"


def test_a_refusal_names_the_file(tiny: TinyHarness) -> None:
    with tiny.parent() as parent:
        parent.ready()
        _append(tiny.package / "task.yaml")

        answer = parent.start(tiny.prepare(PRINT_ONE))

    assert answer == {"refused": f"{tiny.package / 'task.yaml'} has changed"}


def test_a_refused_attempt_was_not_started(tiny: TinyHarness) -> None:
    with tiny.parent() as parent:
        parent.ready()
        _append(tiny.package / "task.yaml")
        run_dir = tiny.prepare(PRINT_ONE)

        parent.start(run_dir)

    assert [each.name for each in run_dir.iterdir()] == [files.JOB_FILE]


def _new_python(place: Path) -> tuple[str, Path]:
    """Make another Python, since what is installed into the tests' own is not theirs to change.

    Returns its path, and where its packages are.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place / "venv"], check=True)
    [site] = (place / "venv").glob("lib/python*/site-packages")
    return str(place / "venv" / "bin" / "python"), site


def test_a_change_of_an_editable_checkout_is_refused(tiny: TinyHarness) -> None:
    checkout = tiny.place / "checkout"
    checkout.mkdir()
    (checkout / "edited.py").write_text("VALUE = 1\n")
    python, site = _new_python(tiny.place)
    (site / "editable.pth").write_text(f"{checkout}\n")
    time.sleep(1)
    with WarmParent(python, tiny.preload, tiny.environment, cwd=tiny.cwd) as parent:
        assert parent.ready()["ready"]
        (checkout / "edited.py").write_text("VALUE = 2\n")

        answer = parent.start(tiny.prepare(PRINT_ONE))

    assert answer == {"refused": f"{checkout / 'edited.py'} has changed"}


def test_a_place_for_modules_that_appears_later_is_refused(tiny: TinyHarness) -> None:
    python, site = _new_python(tiny.place)
    later = tiny.place / "later"
    (site / "later.pth").write_text(f"# not there yet\n{later}\n")
    time.sleep(1)
    with WarmParent(python, tiny.preload, tiny.environment, cwd=tiny.cwd) as parent:
        assert parent.ready()["ready"]
        later.mkdir()

        answer = parent.start(tiny.prepare(PRINT_ONE))

    assert answer == {"refused": f"{later} is new"}


def test_a_user_s_first_package_is_refused(tiny: TinyHarness) -> None:
    python = str(Path(sys.executable).resolve())
    environment = {**tiny.environment, "PYTHONUSERBASE": str(tiny.place / "user")}
    command = [python, "-m", "site", "--user-site"]
    user_site = Path(subprocess.check_output(command, env=environment, text=True).strip())
    time.sleep(1)
    with WarmParent(python, tiny.preload, environment, cwd=tiny.cwd) as parent:
        assert parent.ready()["ready"]
        user_site.mkdir(parents=True)

        answer = parent.start(tiny.prepare(PRINT_ONE))

    assert answer == {"refused": f"{user_site} is new"}


SPECS: dict[str, dict[str, Any]] = {
    "another environment": {"environment": {"HF_HOME": "/elsewhere"}},
    "an earlier stage": {"before": {"merging": ("true",)}},
}


@pytest.mark.parametrize("what", SPECS)
def test_an_attempt_is_refused_that_has(what: str, shared_tiny: TinyHarness) -> None:
    with shared_tiny.parent() as parent:
        parent.ready()

        answer = parent.start(shared_tiny.prepare(PRINT_ONE, **SPECS[what]))

    assert what in answer["refused"]


ARGUMENTS = {
    "a module": [sys.executable, "-m", "tiny"],
    "code": [sys.executable, "-c", "print(1)"],
    "another interpreter": ["/usr/bin/python3", "/script.py"],
    "a script that is not there": [sys.executable, "/no/such/script.py"],
    "no script": [sys.executable],
}


@pytest.mark.parametrize("what", ARGUMENTS)
def test_a_command_line_is_refused_with(what: str, shared_tiny: TinyHarness) -> None:
    run_dir = shared_tiny.place / f"command {what}"
    prepare(run_dir, ARGUMENTS[what], shared_tiny.environment, shared_tiny.cwd)
    with shared_tiny.parent() as parent:
        parent.ready()

        answer = parent.start(run_dir)

    assert "refused" in answer


UNUSABLE = {
    "starts a process": "    import subprocess; subprocess.Popen(['sleep', '100'])",
    "starts a thread":
        "    import threading, time\n"
        "    threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()",
    "leaves a descriptor open": "    global file; file = open('/etc/hostname')",
    "fails": "    raise ValueError('no')",
    "sets a variable of the attempt": "    os.environ['CUDA_VISIBLE_DEVICES'] = '0'",
    "changes a module meanwhile": "    open(sys.modules['tiny.numbers'].__file__, 'a').write('#')",
}  # fmt: skip
"""What the imports of a harness may do, so that no attempt can be started from them."""


@pytest.mark.parametrize("what", UNUSABLE)
def test_a_parent_is_unusable_when_the_harness(what: str, tiny: TinyHarness) -> None:
    tiny.set_preload(UNUSABLE[what])
    with tiny.parent() as parent:
        message = parent.ready()

    assert set(message) == {"unusable"}


def test_a_parent_with_a_further_thread_refuses(tiny: TinyHarness) -> None:
    tiny.set_preload(
        "    import signal, threading, time\n"
        "    def start(*_):\n"
        "        threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()\n"
        "    signal.signal(signal.SIGUSR1, start)\n"
    )
    with tiny.parent() as parent:
        parent.ready()
        os.kill(parent.process.pid, signal.SIGUSR1)
        _wait_for_threads(parent.process.pid, 2)

        answer = parent.start(tiny.prepare(PRINT_ONE))

    assert answer == {"refused": "the parent has 2 threads, and had 1"}


def _wait_for_threads(pid: int, number: int) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while len(list(Path(f"/proc/{pid}/task").iterdir())) < number:
        assert time.monotonic() < deadline
        time.sleep(0.01)


async def test_a_runner_shows_the_arguments_of_a_cold_one(
    shared_tiny: TinyHarness, shared_parent: WarmParent
) -> None:
    run_dir = shared_tiny.prepare(WAITS)
    shared_parent.start(run_dir)
    try:
        shown = command_line(runner_of(run_dir))
    finally:
        await _stop(run_dir)

    assert shown[-2:] == [os.fsencode(files.PROGRAM), os.fsencode(run_dir)]


async def test_a_runner_does_not_show_the_token(
    shared_tiny: TinyHarness, shared_parent: WarmParent
) -> None:
    run_dir = shared_tiny.prepare(WAITS)
    shared_parent.start(run_dir)
    try:
        shown = Path(f"/proc/{runner_of(run_dir)}/environ").read_bytes()
    finally:
        await _stop(run_dir)

    assert b"EVALSERVER_" not in shown


async def test_an_attempt_lives_on_when_its_parent_is_killed(tiny: TinyHarness) -> None:
    run_dir = tiny.prepare(WAITS)
    with tiny.parent() as parent:
        parent.ready()
        parent.start(run_dir)
        parent.process.kill()
        parent.process.wait()
        lives = is_running(runner_of(run_dir))
    await _stop(run_dir)

    assert lives
    assert ended(run_dir).exit["reason"] == "cancelled"


async def test_the_harness_dies_with_its_runner(
    shared_tiny: TinyHarness, shared_parent: WarmParent
) -> None:
    run_dir = shared_tiny.prepare("import os\nprint(os.getpid(), flush=True)\n" + WAITS)
    shared_parent.start(run_dir)
    log = run_dir / files.LOG_FILE

    async def has_printed() -> bool:
        return log.exists() and "ready" in log.read_text()

    await until(has_printed)
    harness = int(log.read_text().split()[0])
    os.kill(runner_of(run_dir), signal.SIGKILL)

    async def is_gone() -> bool:
        return not is_running(harness)

    await until(is_gone)


def test_a_parent_ends_when_its_server_does(tiny: TinyHarness) -> None:
    with tiny.parent() as parent:
        parent.ready()

        parent.connection.close()

        assert parent.process.wait(WAIT_SECONDS) == 0


def test_an_attempt_is_started_once(shared_tiny: TinyHarness, shared_parent: WarmParent) -> None:
    run_dir = shared_tiny.prepare(PRINT_ONE)
    shared_tiny.run_warm(shared_parent, run_dir)

    answer = shared_parent.start(run_dir)

    assert answer["code"] == files.STARTED_BEFORE


def test_crash_points_of_a_runner_are_passed_on(
    shared_tiny: TinyHarness, shared_parent: WarmParent
) -> None:
    run_dir = shared_tiny.prepare(PRINT_ONE)

    answer = shared_parent.start(run_dir, **{crash_point.VARIABLE: "runner_locked"})

    assert answer["code"] == RUNNER_ENDED


@pytest.mark.parametrize("name", GPU_VARIABLES)
def test_an_attempt_gets_its_gpus(
    name: str, shared_tiny: TinyHarness, shared_parent: WarmParent
) -> None:
    program = f"import os; print(os.environ[{name!r}])\nprint(open('/proc/self/environ').read())"
    environment = {**shared_tiny.environment, name: "GPU-1"}

    end = shared_tiny.run_warm(shared_parent, shared_tiny.prepare(program, environment=environment))

    assert end.log.startswith("GPU-1\n") and f"{name}=GPU-1\0" in end.log


async def _stop(run_dir: Path) -> None:
    (run_dir / files.CANCEL_FILE).touch()

    async def is_over() -> bool:
        return (run_dir / files.EXIT_FILE).exists()

    await until(is_over)
