"""Exactly one server owns a data directory, for as long as its process lives."""

import fcntl
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from evalserver.system.data_dir import LOCK_NAME, DataDirTaken, lock_data_dir

OWNER = """
import sys
from pathlib import Path
from evalserver.system.data_dir import lock_data_dir
with lock_data_dir(Path(sys.argv[1]), "http://one:1"):
    print("owned", flush=True)
    sys.stdin.read()
"""


@contextmanager
def owner(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that owns the directory until its stdin is closed."""
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "owned\n"
            yield process
        finally:
            process.kill()


def test_a_missing_directory_is_created_with_access_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"

    with lock_data_dir(path, "http://one:1"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_the_error_of_a_second_owner_names_the_first(data_dir: Path) -> None:
    with owner(data_dir) as first:
        taken = f"{data_dir} belongs to .* pid {first.pid}, at http://one:1"
        with pytest.raises(DataDirTaken, match=taken), lock_data_dir(data_dir, "http://two:2"):
            pass


def test_a_rejected_second_owner_keeps_the_first_owners_record(data_dir: Path) -> None:
    with owner(data_dir) as first:
        for _ in range(2):
            with pytest.raises(DataDirTaken, match=str(first.pid)), lock_data_dir(data_dir, "two"):
                pass


def test_a_process_cannot_own_a_directory_twice(data_dir: Path) -> None:
    with (
        lock_data_dir(data_dir, "http://one:1"),
        pytest.raises(DataDirTaken, match=re.escape(f"pid {os.getpid()}")),
        lock_data_dir(data_dir, "http://two:2"),
    ):
        pass


def test_the_lock_is_free_after_the_owner_exited(data_dir: Path) -> None:
    with lock_data_dir(data_dir, "http://one:1"):
        pass

    with lock_data_dir(data_dir, "http://two:2"):
        assert "http://two:2" in (data_dir / LOCK_NAME).read_text()


def test_the_lock_is_free_after_the_owner_failed(data_dir: Path) -> None:
    with pytest.raises(ValueError, match="on purpose"), lock_data_dir(data_dir, "http://one:1"):
        raise ValueError("on purpose")

    with lock_data_dir(data_dir, "http://two:2"):
        pass


def test_the_lock_is_free_after_the_owner_was_killed(data_dir: Path) -> None:
    with owner(data_dir) as first:
        first.kill()
        first.wait()

        with lock_data_dir(data_dir, "http://two:2"):
            pass


def test_a_child_that_outlives_the_owner_does_not_keep_the_lock(data_dir: Path) -> None:
    with lock_data_dir(data_dir, "http://one:1"):
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)

    with child, lock_data_dir(data_dir, "http://two:2"):
        child.kill()


def test_removing_the_lock_file_does_not_release_the_lock(data_dir: Path) -> None:
    with owner(data_dir) as first:
        (data_dir / LOCK_NAME).unlink()

        removed = f"another running server, pid {first.pid}, whose server.lock was removed"
        with pytest.raises(DataDirTaken, match=removed), lock_data_dir(data_dir, "two"):
            pass


def test_replacing_the_lock_file_does_not_release_the_lock(data_dir: Path) -> None:
    with owner(data_dir):
        (data_dir / LOCK_NAME).unlink()
        (data_dir / LOCK_NAME).touch()

        with (
            pytest.raises(DataDirTaken, match="another running server"),
            lock_data_dir(data_dir, "two"),
        ):
            pass


def test_a_rejected_owner_leaves_no_lock_file(data_dir: Path) -> None:
    with owner(data_dir):
        (data_dir / LOCK_NAME).unlink()
        with pytest.raises(DataDirTaken), lock_data_dir(data_dir, "two"):
            pass

        assert not (data_dir / LOCK_NAME).exists()


def test_a_lock_on_the_lock_file_alone_is_respected(data_dir: Path) -> None:
    with (data_dir / LOCK_NAME).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)

        with (
            pytest.raises(DataDirTaken, match="another running server"),
            lock_data_dir(data_dir, "two"),
        ):
            pass


@pytest.mark.parametrize("content", ["", "no json", "[]", "{}"])
def test_a_lock_without_a_readable_owner_is_respected(data_dir: Path, content: str) -> None:
    with owner(data_dir):
        (data_dir / LOCK_NAME).write_text(content)

        with (
            pytest.raises(DataDirTaken, match="another running server"),
            lock_data_dir(data_dir, "two"),
        ):
            pass


def test_a_shorter_owner_record_replaces_a_longer_one_completely(data_dir: Path) -> None:
    with lock_data_dir(data_dir, "http://a-very-long-name-of-a-host.example:65535"):
        pass

    with (
        lock_data_dir(data_dir, "http://b:1"),
        pytest.raises(DataDirTaken, match="at http://b:1;"),
        lock_data_dir(data_dir, "http://two:2"),
    ):
        pass


def test_a_path_that_is_a_file_cannot_be_owned(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()

    with pytest.raises(FileExistsError), lock_data_dir(path, "http://one:1"):
        pass
