"""Apply the faults of the table, one at a time, to a copy of the tree, and run their tests."""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.mutations.table import FAULTS, Fault

ROOT = Path(__file__).parents[2]
LEFT_OUT = shutil.ignore_patterns(".git", ".venvs", ".*_cache", "__pycache__", "evalserver-data")
TEST_SECONDS = 600.0

FAILED = 1
"""What pytest exits with when tests failed; other codes say that it could not run them."""


class CannotApply(Exception):
    """The text that a fault changes is not there once; says where."""


def apply(fault: Fault, root: Path) -> None:
    """Change the file of the fault in the tree at ``root``. Raises CannotApply."""
    path = root / "evalserver" / fault.file
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    found = text.count(fault.text)
    if found != 1:
        raise CannotApply(
            f"{fault.name}: evalserver/{fault.file} has its text {found} times, not once: "
            "update tests/mutations/table.py"
        )
    path.write_text(text.replace(fault.text, fault.faulty), encoding="utf-8")


def is_noticed(fault: Fault) -> bool:
    """Do its tests fail with the fault? Raises CannotApply when they cannot be run."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "tree"
        shutil.copytree(ROOT, copy, ignore=LEFT_OUT)
        apply(fault, copy)
        tests = [f"tests/{name}" for name in fault.tests]
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
        done = subprocess.run(
            command, cwd=copy, capture_output=True, text=True, timeout=TEST_SECONDS, check=False
        )
    if done.returncode not in (0, FAILED):
        raise CannotApply(f"{fault.name}: its tests cannot be run:\n{done.stdout[-2000:]}")
    return done.returncode == FAILED


def main(arguments: list[str]) -> int:
    """Returns 0 when every fault that was asked for is noticed."""
    parser = argparse.ArgumentParser(prog="mutate", description=__doc__)
    parser.add_argument("words", nargs="*", help="only faults whose name has one of these in it")
    parser.add_argument("--list", action="store_true", help="list the faults, and apply none")
    given = parser.parse_args(arguments)
    chosen = [
        fault
        for fault in FAULTS
        if not given.words or any(word in fault.name for word in given.words)
    ]
    if given.list:
        print("\n".join(fault.name for fault in chosen))
        return 0
    return 0 if all([_report(fault) for fault in chosen]) else 1


def _report(fault: Fault) -> bool:
    try:
        noticed = is_noticed(fault)
    except (CannotApply, subprocess.TimeoutExpired) as error:
        print(f"ERROR    {error}", flush=True)
        return False
    print(f"{'noticed ' if noticed else 'ALIVE   '} {fault.name}", flush=True)
    return noticed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
