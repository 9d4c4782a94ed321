"""Small file systems and files that cannot grow, for tests that need a disk to be full."""

import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest


def mount_small_disk(place: Path) -> None:
    """Mount one on a directory; skips the test where this user may not."""
    command = ["mount", "-t", "tmpfs", "-o", "size=256k,mode=700", "tmpfs", str(place)]
    if subprocess.run(command, check=False).returncode != 0:
        pytest.skip("this user may not mount a file system, so a full disk was NOT TESTED")


def make_read_only(place: Path) -> None:
    """Mount it again so that nothing can be written."""
    subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)


def unmount(place: Path) -> None:
    """Unmount it, also while a process has a file of it open."""
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(place: Path) -> Path:
    """The file that takes all the room there is."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    return filler


@contextmanager
def no_room_beyond(file: Path) -> Iterator[None]:
    """Within the block, no file of this process can grow beyond the size of this one."""
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size, usual[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
