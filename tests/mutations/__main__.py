"""Apply the mutations of the table, one at a time, to a copy of the tree, and run their tests."""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.mutations.table import MUTATIONS, Mutation

ROOT = Path(__file__).parents[2]
IGNORED = shutil.ignore_patterns(".git", ".venvs", ".*_cache", "__pycache__", "evalserver-data")
TEST_SECONDS = 600.0

FAILED = 1
"""pytest's exit code for failed tests; others mean that it could not run them."""


class CannotApply(Exception):
    """A mutation cannot be applied or its tests cannot run; the message says why."""


def apply(mutation: Mutation, root: Path) -> None:
    """Apply a mutation to the tree at ``root``. Raises CannotApply."""
    path = root / "evalserver" / mutation.file
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    count = text.count(mutation.original)
    if count != 1:
        raise CannotApply(
            f"{mutation.name}: evalserver/{mutation.file} has its original text {count} times: "
            "update tests/mutations/table.py"
        )
    path.write_text(text.replace(mutation.original, mutation.mutated), encoding="utf-8")


def is_killed(mutation: Mutation) -> bool:
    """Whether its tests fail with the mutation. Raises CannotApply if they cannot run."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "tree"
        shutil.copytree(ROOT, copy, ignore=IGNORED)
        apply(mutation, copy)
        tests = [f"tests/{name}" for name in mutation.tests]
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
        done = subprocess.run(
            command, cwd=copy, capture_output=True, text=True, timeout=TEST_SECONDS, check=False
        )
    if done.returncode not in (0, FAILED):
        raise CannotApply(f"{mutation.name}: its tests cannot run:\n{done.stdout[-2000:]}")
    return done.returncode == FAILED


def main(arguments: list[str]) -> int:
    """Run the selected mutations. Returns 0 if all are killed."""
    parser = argparse.ArgumentParser(prog="mutate", description=__doc__)
    parser.add_argument("words", nargs="*", help="only mutations with one of these in their name")
    parser.add_argument(
        "--list", action="store_true", help="list the mutations without applying them"
    )
    options = parser.parse_args(arguments)
    selected = [
        mutation
        for mutation in MUTATIONS
        if not options.words or any(word in mutation.name for word in options.words)
    ]
    if options.list:
        print("\n".join(mutation.name for mutation in selected))
        return 0
    return 0 if all([_report(mutation) for mutation in selected]) else 1


def _report(mutation: Mutation) -> bool:
    try:
        killed = is_killed(mutation)
    except (CannotApply, subprocess.TimeoutExpired) as error:
        print(f"ERROR    {error}", flush=True)
        return False
    print(f"{'killed  ' if killed else 'SURVIVED'} {mutation.name}", flush=True)
    return killed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
