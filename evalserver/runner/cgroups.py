"""Control groups: the kernel's own list of an attempt's processes.

A child begins in its parent's cgroup, and only root, or the owner of a delegated tree, can move it:
so whatever a process does to its session, parent or environment, it stays in the list. Both kinds
are used, wherever one can be made: the unified hierarchy (version 2, as ``Delegate=yes`` of a
systemd unit gives it), and the freezer of version 1.
"""

import os
import re
import signal
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from evalserver.runner.crash_point import crash_point

VARIABLE = "EVALSERVER_CGROUPS"
"""Environment variable: the kinds that may be used, of ``unified`` and ``freezer``."""
KINDS = "unified,freezer"

FREEZE_SECONDS = 1.0
"""How long processes are waited for to freeze: one in the middle of a disk access may not."""
REMOVE_SECONDS = 1.0
POLL_SECONDS = 0.005
MAX_NAME_CHARACTERS = 120


class Cgroup:
    """One attempt's cgroup, at ``path``, with all cgroups that its processes made in it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def enter(self) -> None:
        """Move the calling process into the cgroup. Raises OSError."""
        descriptor = os.open(self.path / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, b"0")
        finally:
            os.close(descriptor)

    def pids(self) -> list[int]:
        """The processes in it; none when it is gone."""
        found: list[int] = []
        for folder in self._folders():
            with suppress(OSError):
                found.extend(map(int, (folder / "cgroup.procs").read_text("ascii").split()))
        # The kernel writes 0 for a process that has no pid here; for kill() that means ourselves.
        return [pid for pid in found if pid > 0 and pid != os.getpid()]

    def kill(self) -> list[int]:
        """Kill every process in it at once: frozen, none can fork meanwhile.

        Returns their pids. They may take a moment to be gone.
        """
        pids = self.pids()
        if not pids:
            return []
        self._freeze()
        crash_point("frozen")
        try:
            pids = self.pids()
            for pid in pids:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            self._write("cgroup.kill", "1")
        finally:
            self.thaw()
        return pids

    def thaw(self) -> None:
        """Have its processes run, and so die where they were killed."""
        self._write("freezer.state", "THAWED")
        self._write("cgroup.freeze", "0")

    def remove(self) -> None:
        """Remove it if it is empty."""
        patience = time.monotonic() + REMOVE_SECONDS
        while self.path.is_dir():
            for folder in reversed(self._folders()):
                with suppress(OSError):
                    folder.rmdir()
            if time.monotonic() > patience:
                return
            if self.path.is_dir():
                time.sleep(POLL_SECONDS)

    def can_hold_processes(self) -> bool:
        """Try it with a child process that ends at once."""
        if not any((self.path / name).exists() for name in ("freezer.state", "cgroup.freeze")):
            return False
        self.thaw()
        child = os.fork()
        if child == 0:
            try:
                self.enter()
            except BaseException:
                os._exit(1)
            os._exit(0)
        return os.waitpid(child, 0)[1] == 0

    def _freeze(self) -> None:
        self._write("freezer.state", "FROZEN")
        self._write("cgroup.freeze", "1")
        patience = time.monotonic() + FREEZE_SECONDS
        while not self._is_frozen() and time.monotonic() < patience:
            time.sleep(POLL_SECONDS)

    def _is_frozen(self) -> bool:
        for name, word in (("freezer.state", "FROZEN"), ("cgroup.events", "frozen 1")):
            with suppress(OSError):
                return word in (self.path / name).read_text("ascii")
        return True

    def _folders(self) -> list[Path]:
        return [Path(folder) for folder, _, _ in os.walk(self.path)]

    def _write(self, name: str, text: str) -> None:
        """Write one of its control files, if it is there: which are depends on kind and kernel."""
        with suppress(OSError):
            descriptor = os.open(self.path / name, os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.write(descriptor, text.encode())
            finally:
                os.close(descriptor)


def make_cgroup(run_dir: Path) -> Cgroup | None:
    """A cgroup for the attempt in ``run_dir``; None where the machine does not let us make one."""
    for cgroup in possible_cgroups(run_dir):
        try:
            cgroup.path.mkdir(exist_ok=True)
        except OSError:
            continue
        if cgroup.can_hold_processes():
            return cgroup
        cgroup.remove()
    return None


def possible_cgroups(run_dir: Path) -> list[Cgroup]:
    """Where a process in our own cgroups would make that of the attempt, best first."""
    kinds = os.environ.get(VARIABLE, KINDS).split(",")
    own = dict(_own_cgroups())
    return [Cgroup(own[kind] / cgroup_name(run_dir)) for kind in kinds if kind in own]


def cgroup_name(run_dir: Path) -> str:
    """The name that the attempt's cgroup has; no other attempt has it."""
    readable = re.sub(r"[^A-Za-z0-9_-]", "_", "-".join(run_dir.parts[-2:]))[-MAX_NAME_CHARACTERS:]
    return f"evalserver-{readable}-{zlib.crc32(os.fsencode(run_dir)):08x}"


def _own_cgroups() -> Iterator[tuple[str, Path]]:
    """Kind and directory of each cgroup that this process is in."""
    try:
        memberships = Path("/proc/self/cgroup").read_text("utf-8", "replace").splitlines()
        mounts = dict(_mounts(Path("/proc/self/mountinfo").read_text("utf-8", "replace")))
    except OSError:
        return
    for line in memberships:
        number, controllers, path = line.split(":", 2)
        kind = "unified" if number == "0" else "freezer"
        if kind == "freezer" and kind not in controllers.split(","):
            continue
        if kind not in mounts or ".." in path:
            continue
        root, mount = mounts[kind]
        if path == root or path.startswith(root.rstrip("/") + "/"):
            yield kind, mount / path.removeprefix(root).lstrip("/")


def _mounts(mountinfo: str) -> Iterator[tuple[str, tuple[str, Path]]]:
    """Of each kind of hierarchy, which part of it is mounted, and where."""
    for line in mountinfo.splitlines():
        place, _, what = line.partition(" - ")
        root, mount = place.split()[3:5]
        filesystem, _, options = what.split()[:3]
        if filesystem == "cgroup2":
            yield "unified", (root, Path(mount))
        elif filesystem == "cgroup" and "freezer" in options.split(","):
            yield "freezer", (root, Path(mount))
