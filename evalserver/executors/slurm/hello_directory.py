"""The directory through which ``evalserver doctor`` and its job on a node speak to each other."""

import asyncio
import json
import secrets
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from evalserver.core.diagnosis import Finding
from evalserver.executors.slurm import hello
from evalserver.executors.slurm.options import SLURM_LOG_FILE
from evalserver.system.disk_threads import DiskThreads, DiskTimeout
from evalserver.system.untrusted_files import (
    UnreadableFile,
    UntrustedDirectory,
    read_file,
    read_json,
)

PREFIX = "evalserver-doctor-"
PROGRAM_NAME = "hello.py"
MAX_BYTES = 64 * 1024
DISK_SECONDS = 20.0
PATIENCE_SECONDS = 30.0
"""How long a file is awaited that was written on the other side: a network file system may show
files late."""
REMOVE_SECONDS = 30.0

Warn = Callable[[str], None]


class NoHello(Exception):
    """The job said nothing; ``finding`` says why. ``may_come``: it waited for a free place."""

    def __init__(self, finding: Finding, *, may_come: bool = False) -> None:
        super().__init__(finding.what)
        self.finding = finding
        self.may_come = may_come


@dataclass(frozen=True)
class NodeNeed:
    """What a node must have, under the same path: ``what`` names it, ``do`` says what to do."""

    kind: Literal["program", "directory"]
    path: str
    what: str
    do: str
    grave: bool = True


class HelloDirectory:
    """A directory with the program of the job and its question; ``path`` is where it is."""

    def __init__(self, path: Path, nonce: str, threads: DiskThreads) -> None:
        self.path = path
        self._nonce = nonce
        self._threads = threads

    async def read_hello(self) -> dict[str, Any] | None:
        """Return what the job said; None if it is not seen yet. Raises NoHello if the job read
        another question than this one."""
        answer = await self._read(hello.HELLO)
        if answer is not None and answer.get("nonce") != self._nonce:
            what = f"{answer.get('host')} sees other files than this machine in {self.path.parent}"
            raise NoHello(Finding(what, "set run_root to a directory that all nodes share"))
        return answer

    async def reply(self) -> None:
        """Write the file that the job waits for. Raises OSError, DiskTimeout."""
        await self._threads.run((self.path / hello.REPLY).touch)

    async def read_heard(self) -> dict[str, Any] | None:
        """Return what the job said of the reply; None if it is not seen yet."""
        return await self._read(hello.HEARD)

    async def last_line(self) -> str | None:
        """Return the last line that the job printed; None if its log is not seen."""
        try:
            text = await self._threads.run(read_file, self._place, SLURM_LOG_FILE, MAX_BYTES)
        except (UnreadableFile, DiskTimeout):
            return None
        lines = text.decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""

    @property
    def _place(self) -> UntrustedDirectory:
        return UntrustedDirectory(self.path.parent, (self.path.name,))

    async def _read(self, name: str) -> dict[str, Any] | None:
        try:
            return await self._threads.run(read_json, self._place, name, MAX_BYTES)
        except (UnreadableFile, DiskTimeout):
            return None


@asynccontextmanager
async def hello_directory(
    run_root: Path, needs: Sequence[NodeNeed], warn: Warn
) -> AsyncIterator[HelloDirectory]:
    """Make the directory, and remove it at the end, also if the block is cancelled.

    ``warn`` is called if that fails. Raises NoHello if nothing can be written.
    """
    threads = DiskThreads(f"using {run_root}", DISK_SECONDS)
    nonce = secrets.token_hex(16)
    making = asyncio.create_task(threads.run(_make_directory, run_root))
    try:
        path = await asyncio.shield(making)
        await threads.run(_write_question, path, nonce, needs)
        yield HelloDirectory(path, nonce, threads)
    except (OSError, DiskTimeout) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        do = "set run_root to a directory that has room and in which your user may write"
        raise NoHello(Finding(f"cannot write in {run_root}: {why}", do)) from error
    finally:
        await asyncio.wait([making])
        if making.exception() is None:
            await _remove_directory(making.result(), threads, warn)


def _make_directory(root: Path) -> Path:
    return Path(tempfile.mkdtemp(prefix=PREFIX, dir=root))


def _write_question(path: Path, nonce: str, needs: Sequence[NodeNeed]) -> None:
    question = {
        "nonce": nonce,
        "needs": [(need.kind, need.path) for need in needs],
        "patience_s": PATIENCE_SECONDS,
    }
    (path / hello.QUESTION).write_text(json.dumps(question))
    shutil.copyfile(hello.__file__, path / PROGRAM_NAME)


async def _remove_directory(path: Path, threads: DiskThreads, warn: Warn) -> None:
    end = time.monotonic() + REMOVE_SECONDS
    while True:
        try:
            return await threads.run(shutil.rmtree, path)
        except (OSError, DiskTimeout) as error:
            # NFS keeps files that a node has still open.
            if time.monotonic() > end:
                return warn(f"cannot remove {path} ({error}): remove it by hand")
            await asyncio.sleep(1)
