"""The real harnesses, started warm: the same as a cold start. Parents that have computed are
refused. What is changed between two runs is tried in ``tests/end_to_end/test_warm_changes.py``."""

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.digits_model import make_digits_task
from tests.real_harness import is_installed
from tests.runner.warm.driver import WarmParent
from tests.runner.warm.real import PROGRAMS, RealHarness, saved
from tests.support import WAIT_SECONDS

ROOT = Path(__file__).parents[3]
CAPITALS = ROOT / "examples" / "demo" / "tasks"
INSPECT_TASKS = ROOT / "tests" / "inspect_tasks"
ANSWERS = ("Paris", "Rome", "Kyoto", "Lima")

HARNESSES = ("lm-eval", "lmms-eval", "inspect")
each_harness = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.real_harness(name)) for name in HARNESSES]
)


def _family(program: str, *arguments: str) -> Callable[[Path, Path], list[str]]:
    def command(run_dir: Path, tasks: Path) -> list[str]:
        flags = [f"--output_path={run_dir / 'output'}", f"--include_path={tasks}", "--log_samples"]
        return [str(PROGRAMS / program), *arguments, *flags, "--model=dummy", "--limit=4"]

    return command


def _inspect(run_dir: Path, tasks: Path) -> list[str]:
    usage = {"input_tokens": 9, "output_tokens": 1, "total_tokens": 10}
    outputs = [
        {
            "model": "mockllm/model",
            "choices": [{"message": {"role": "assistant", "content": answer}}],
            "usage": usage,
        }
        for answer in ANSWERS
    ]
    config = {
        "model": "mockllm/model", "tasks": ["capitals"], "include_path": str(tasks),
        "model_args": {"custom_outputs": outputs}, "generate": {}, "limit": None, "options": {},
        "seed": 1, "max_connections": 1, "log_samples": True, "cache_dir": None,
        "output_dir": str(run_dir / "output"),
    }  # fmt: skip
    (run_dir / "inspect.json").write_text(json.dumps(config))
    return [str(PROGRAMS / "inspect_launcher.py"), f"--config={run_dir / 'inspect.json'}"]


def _make(name: str, place: Path) -> RealHarness:
    """Return a harness with a directory of tasks of its own."""
    if not is_installed(name):
        pytest.skip(f"{name} is not installed: NOT TRIED")
    tasks = place / "tasks"
    place.mkdir(exist_ok=True)
    if name == "lmms-eval":
        make_digits_task(tasks, place / "hub")
        command = _family("lmms_eval_launcher.py", "--tasks=digits_vqa")
    elif name == "lm-eval":
        shutil.copytree(CAPITALS, tasks)
        command = _family("lm_eval_launcher.py", "run", "--tasks=capitals")
    else:
        shutil.copytree(INSPECT_TASKS, tasks)
        command = _inspect
    return RealHarness(name, place, tasks, command)


def _wait_until_settled() -> None:
    # Files that have changed just before are taken for changing while they are read.
    time.sleep(1)


@each_harness
def test_a_warm_run_saves_what_a_cold_one_does(name: str, tmp_path: Path) -> None:
    harness = _make(name, tmp_path)
    _wait_until_settled()
    with harness.parent() as parent:
        assert parent.ready().get("ready"), (tmp_path / "parent.log").read_text()

        warm, again = saved(harness.run_warm(parent)), saved(harness.run_warm(parent))
    cold = saved(harness.run_cold())

    assert set(cold) == {"results", "samples"}
    assert warm == cold
    assert again == cold


COMPUTE = "torch.ones(2000, 2000) @ torch.ones(2000, 2000)"
PRELOAD_TORCH = """
PACKAGE = DISTRIBUTION = "torch"

def preload(include_path):
    import signal, torch
    def compute(*_):
        {compute}
    {when}
"""


def _torch_parent(place: Path, when: str) -> WarmParent:
    program = place / "torch_preload.py"
    program.write_text(PRELOAD_TORCH.format(compute=COMPUTE, when=when))
    harness = RealHarness("lmms-eval", place, place, lambda *_: [str(program)])
    harness.extra["OMP_NUM_THREADS"] = "2"
    _wait_until_settled()
    return harness.parent(program)


@pytest.mark.real_harness("lmms-eval")
def test_a_parent_that_has_computed_is_unusable(tmp_path: Path) -> None:
    """A child would wait for ever for the threads of OpenMP that the parent had."""
    with _torch_parent(tmp_path, "compute()") as parent:
        message = parent.ready()

    assert message == {"unusable": "a forked child could not compute within 20 s"}


@pytest.mark.real_harness("lmms-eval")
def test_a_parent_that_computes_later_refuses(tmp_path: Path) -> None:
    with _torch_parent(tmp_path, "signal.signal(signal.SIGUSR1, compute)") as parent:
        threads = parent.ready()["threads"]
        os.kill(parent.process.pid, signal.SIGUSR1)
        deadline = time.monotonic() + WAIT_SECONDS
        while len(list(Path(f"/proc/{parent.process.pid}/task").iterdir())) <= threads:
            assert time.monotonic() < deadline
            time.sleep(0.05)

        answer = parent.start(tmp_path)

    assert "threads" in answer["refused"]
