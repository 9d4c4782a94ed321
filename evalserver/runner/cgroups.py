"""Control groups: the kernel's own list of an attempt's processes.

A child starts in its parent's cgroup, and only root, or the owner of a delegated tree, can move it.
Whatever a process does to its session, parent or environment, it stays in the list. Both kinds are
used where they are available: the unified hierarchy (version 2, as delegated by ``Delegate=yes`` of
a systemd unit), and the freezer of version 1.
"""

from __future__ import annotations

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
"""Environment variable with the allowed kinds, separated by commas."""
KINDS = "unified,freezer,memory"

MEMORY = "memory"
"""The kind of version 1 that limits memory; those before hold processes."""

SERVER_SUBGROUP = "evalserver-server"
"""``DelegateSubgroup`` of the systemd unit."""

SHELL = "/bin/sh"
ENTER = 'exec 2>/dev/null; echo 0 >"$0"'

FREEZE_SECONDS = 1.0
"""How long to wait until processes are frozen: one that waits for a disk may not freeze."""
REMOVE_SECONDS = 1.0
POLL_SECONDS = 0.005
MAX_NAME_CHARACTERS = 120


class Cgroup:
    """The cgroup of one attempt, including cgroups that its processes created in it."""

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
        """Return the pids of its processes; empty if it does not exist."""
        found: list[int] = []
        for folder in self._folders():
            with suppress(OSError):
                found.extend(map(int, (folder / "cgroup.procs").read_text("ascii").split()))
        # The kernel writes 0 for a process without a pid in this namespace; kill(0) is ourselves.
        return [pid for pid in found if pid > 0 and pid != os.getpid()]

    def kill(self) -> list[int]:
        """Kill every process in it. They are frozen first, so that none can fork meanwhile.

        Returns their pids. They may take a moment to end.
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
        """Let its processes continue, so that killed ones can end."""
        self._write("freezer.state", "THAWED")
        self._write("cgroup.freeze", "0")

    def remove(self) -> None:
        """Remove it, if it is empty or becomes empty within a second."""
        deadline = time.monotonic() + REMOVE_SECONDS
        while self.path.is_dir():
            for folder in reversed(self._folders()):
                with suppress(OSError):
                    folder.rmdir()
            if time.monotonic() > deadline:
                return
            if self.path.is_dir():
                time.sleep(POLL_SECONDS)

    def can_hold_processes(self) -> bool:
        """Return whether processes can enter it and be frozen."""
        if not any((self.path / name).exists() for name in ("freezer.state", "cgroup.freeze")):
            return False
        self.thaw()
        return self.can_be_entered()

    def can_be_entered(self) -> bool:
        """Return whether a process can enter it, tried with a shell that exits at once.

        A shell needs no fork: that of a runner which a warm parent has forked takes as long as 20
        shells.
        """
        procs = str(self.path / "cgroup.procs")
        try:
            child = os.posix_spawn(SHELL, [SHELL, "-c", ENTER, procs], {})
        except OSError:
            return False
        return os.waitpid(child, 0)[1] == 0

    def _freeze(self) -> None:
        self._write("freezer.state", "FROZEN")
        self._write("cgroup.freeze", "1")
        deadline = time.monotonic() + FREEZE_SECONDS
        while not self._is_frozen() and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)

    def _is_frozen(self) -> bool:
        for name, word in (("freezer.state", "FROZEN"), ("cgroup.events", "frozen 1")):
            with suppress(OSError):
                return word in (self.path / name).read_text("ascii")
        return True

    def _folders(self) -> list[Path]:
        return [Path(folder) for folder, _, _ in os.walk(self.path)]

    def _write(self, name: str, text: str) -> None:
        """Write one of its control files, if it exists, which depends on kind and kernel."""
        with suppress(OSError):
            descriptor = os.open(self.path / name, os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.write(descriptor, text.encode())
            finally:
                os.close(descriptor)


def make_cgroup(run_dir: Path) -> Cgroup | None:
    """Create the cgroup of the attempt in ``run_dir``; None if this machine does not allow it."""
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
    """Return where this process would create the cgroup of the attempt, best first."""
    own = dict(_own_cgroups())
    return [
        Cgroup(parent / cgroup_name(run_dir))
        for kind in _allowed_kinds()
        if kind in own and kind != MEMORY
        for parent in _parents(own[kind])
    ]


def memory_cgroup(run_dir: Path) -> Cgroup | None:
    """Return where this process would create the attempt's cgroup in a hierarchy of version 1 for
    memory; None without one."""
    parent = dict(_own_cgroups()).get(MEMORY) if MEMORY in _allowed_kinds() else None
    return None if parent is None else Cgroup(parent / cgroup_name(run_dir))


def _allowed_kinds() -> list[str]:
    return os.environ.get(VARIABLE, KINDS).split(",")


def cgroup_name(run_dir: Path) -> str:
    """Return the name of the attempt's cgroup, which no other attempt has."""
    readable = re.sub(r"[^A-Za-z0-9_-]", "_", "-".join(run_dir.parts[-2:]))[-MAX_NAME_CHARACTERS:]
    return f"evalserver-{readable}-{zlib.crc32(os.fsencode(run_dir)):08x}"


def own_memory_cgroups() -> list[Path]:
    """Return the cgroups of this process, and those above them, that may count lack of memory."""
    own = [path for kind, path in _own_cgroups() if kind in ("unified", "memory")]
    return [each for path in own for each in (path, *path.parents) if each.name]


def _parents(own: Path) -> list[Path]:
    """Return where cgroups of attempts can be made: in this process's own, or beside it.

    A cgroup of version 2 that has processes cannot limit the memory of those below it. So where the
    service manager puts the server into a subgroup, attempts are put beside it.
    """
    return [own.parent, own] if own.name == SERVER_SUBGROUP else [own]


def _own_cgroups() -> Iterator[tuple[str, Path]]:
    """Yield kind and directory of each cgroup that this process is in."""
    try:
        memberships = Path("/proc/self/cgroup").read_text("utf-8", "replace").splitlines()
        mounts = dict(_mounts(Path("/proc/self/mountinfo").read_text("utf-8", "replace")))
    except OSError:
        return
    for line in memberships:
        number, controllers, path = line.split(":", 2)
        kinds = {"unified"} if number == "0" else {"freezer", "memory"} & {*controllers.split(",")}
        kind = next(iter(kinds), None)
        if kind not in mounts or ".." in path:
            continue
        root, mount = mounts[kind]
        if path == root or path.startswith(root.rstrip("/") + "/"):
            yield kind, mount / path.removeprefix(root).lstrip("/")


def _mounts(mountinfo: str) -> Iterator[tuple[str, tuple[str, Path]]]:
    """Yield each kind of hierarchy, with the root and the directory of its mount."""
    for line in mountinfo.splitlines():
        place, _, what = line.partition(" - ")
        root, mount = place.split()[3:5]
        filesystem, _, options = what.split()[:3]
        if filesystem == "cgroup2":
            yield "unified", (root, Path(mount))
        elif filesystem == "cgroup":
            for kind in {"freezer", "memory"} & {*options.split(",")}:
                yield kind, (root, Path(mount))
