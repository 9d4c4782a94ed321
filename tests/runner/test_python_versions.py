"""The runner needs Python 3.9 and its standard library alone: it runs on the nodes of a cluster."""

from pathlib import Path

import pytest

from evalserver.runner import files
from tests.runner.pythons import minimum_faults, oldest_python
from tests.runner.runs import Run

NEWER = {
    "a name of 3.11": "from datetime import UTC\n",
    "syntax of 3.10": "match 1:\n    case 1: pass\n",
    "an argument of 3.10": "zip([], [], strict=True)\n",
}


def test_the_runner_needs_no_newer_python() -> None:
    assert minimum_faults(files.PROGRAM) == ""


@pytest.mark.parametrize("what", NEWER)
def test_what_needs_a_newer_python_is_detected(what: str, tmp_path: Path) -> None:
    source = tmp_path / "newer.py"
    source.write_text(NEWER[what])

    assert "newer.py" in minimum_faults(source)


async def test_the_oldest_python_runs_an_attempt(run: Run) -> None:
    python = oldest_python()
    run.prepare("print('ready'); raise SystemExit(7)")

    assert run.start_runner(python) == 0
    assert (await run.end()).exit_code == 7
    assert run.log == "ready\n"
