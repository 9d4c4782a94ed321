"""``python -m tests.compatibility ENGINE-VERSION=PYTHON...``: check versions, print the matrix.

``scripts/compatibility`` makes the interpreters and calls this.
"""

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.compatibility import matrix
from tests.compatibility.checks import Outcome, Run, Status, check_all
from tests.compatibility.harnesses import Subject, prepared
from tests.real_harness import offline_environment
from tests.support import ServerProcess

BAR_SECONDS = "0.2"
"""Between two states of a progress bar: the evaluations last some seconds only."""


def main() -> int:
    """Check the versions. Returns 0 whatever is found."""
    given = _arguments()
    # End servers and evaluations also when this is terminated.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    measured = asyncio.run(_check(given.subjects, given.parallel, given.write))
    print(matrix.render(measured))
    return 0


async def _check(
    subjects: Sequence[Subject], parallel: int, write: bool
) -> Mapping[Subject, Mapping[str, Outcome]]:
    slots = asyncio.Semaphore(parallel)

    async def one(subject: Subject) -> dict[str, Outcome]:
        async with slots:
            began = time.monotonic()
            outcomes = await _check_version(subject)
            told = ", ".join(
                f"{name}: {each.reason or each.status}"
                for name, each in outcomes.items()
                if each.status is not Status.OK
            )
            seconds = time.monotonic() - began
            print(f"--- {subject.name} ({seconds:.0f} s): {told or 'ok'}", file=sys.stderr)
            if write:
                page = matrix.PAGE.read_text()
                matrix.PAGE.write_text(matrix.updated(page, {subject: outcomes}))
            return outcomes

    return dict(zip(subjects, await asyncio.gather(*map(one, subjects)), strict=True))


async def _check_version(subject: Subject) -> dict[str, Outcome]:
    with tempfile.TemporaryDirectory(prefix="compatibility-") as name:
        folder = Path(name)
        with prepared(subject.engine, folder) as harness:
            server = ServerProcess(
                folder / "data",
                *("--engine-python", str(subject.python), "--default-engine", subject.engine),
                *("--include-path", str(harness.tasks_folder)),
                *("--task-path", str(harness.tasks_folder)),
                environment={
                    **offline_environment(folder / "hub"),
                    "TQDM_MININTERVAL": BAR_SECONDS,
                },
            )
            async with server:
                return await check_all(Run(server.api, subject, harness))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="compatibility", description=__doc__)
    parser.add_argument(
        "subjects", nargs="+", type=_subject, metavar="ENGINE-VERSION=PYTHON", help="check these"
    )
    parser.add_argument("--parallel", type=int, default=2, help="versions at a time")
    parser.add_argument("--write", action="store_true", help=f"renew {matrix.PAGE.name}")
    return parser.parse_args()


def _subject(text: str) -> Subject:
    name, _, python = text.partition("=")
    engine, _, version = name.partition("-")
    return Subject(engine, version, Path(python))


if __name__ == "__main__":
    sys.exit(main())
