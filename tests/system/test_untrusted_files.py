"""Opening untrusted files: which are opened, and the errors for all others."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from evalserver.system.untrusted_files import (
    MissingFile,
    UnreadableFile,
    UntrustedDirectory,
    open_file,
    read_file,
    read_json,
    read_named_file,
    read_named_json,
)

LIMIT = 1000


@pytest.fixture
def attempt(tmp_path: Path) -> Path:
    path = tmp_path / "job" / "attempt-1"
    path.mkdir(parents=True)
    return path


@pytest.fixture
def directory(attempt: Path) -> UntrustedDirectory:
    return UntrustedDirectory.for_attempt(attempt)


def _socket(path: Path) -> None:
    # A socket address is limited to 107 bytes, so this one is relative to its directory.
    here = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


MADE: dict[str, Callable[[Path], object]] = {
    "symbolic link": lambda path: path.symlink_to("/etc/passwd"),
    "directory": lambda path: path.mkdir(),
    "FIFO": os.mkfifo,
    "socket": _socket,
}


def test_a_regular_file_is_read(attempt: Path, directory: UntrustedDirectory) -> None:
    (attempt / "folder").mkdir()
    (attempt / "folder" / "file").write_text("text")
    assert read_file(directory, "folder/file", LIMIT) == b"text"


@pytest.mark.parametrize("what", MADE)
def test_the_error_names_what_is_not_a_regular_file(
    what: str, attempt: Path, directory: UntrustedDirectory
) -> None:
    MADE[what](attempt / "file")
    with pytest.raises(UnreadableFile, match=f"attempt-1/file: it is a {what}"):
        open_file(directory, "file")


def test_a_link_in_place_of_a_subdirectory_is_not_followed(
    attempt: Path, directory: UntrustedDirectory, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").write_text("secret")
    (attempt / "folder").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnreadableFile, match="a part of its path is a symbolic link"):
        open_file(directory, "folder/file")


def test_a_link_in_place_of_the_directory_is_not_followed(
    attempt: Path, directory: UntrustedDirectory, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").write_text("secret")
    attempt.rmdir()
    attempt.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnreadableFile):
        open_file(directory, "file")


@pytest.mark.parametrize("path", ["../file", "./file", "", "a//b", "folder/../file", "\0", "a/\0"])
def test_a_path_outside_the_directory_is_missing(path: str, directory: UntrustedDirectory) -> None:
    with pytest.raises(UnreadableFile):
        open_file(directory, path)


def test_a_nonexistent_file_is_missing(directory: UntrustedDirectory) -> None:
    with pytest.raises(MissingFile, match="No such file"):
        open_file(directory, "file")


def test_too_long_a_name_is_reported(directory: UntrustedDirectory) -> None:
    with pytest.raises(UnreadableFile, match="File name too long"):
        open_file(directory, "x" * 300)


def test_a_file_over_the_size_limit_is_rejected(
    attempt: Path, directory: UntrustedDirectory
) -> None:
    (attempt / "file").write_bytes(b"x" * (LIMIT + 1))
    with pytest.raises(UnreadableFile, match=f"file: it has more than {LIMIT} bytes"):
        read_file(directory, "file", LIMIT)


def test_the_error_names_invalid_json(attempt: Path, directory: UntrustedDirectory) -> None:
    (attempt / "file").write_text("[" * 200)
    with pytest.raises(UnreadableFile, match="attempt-1/file: it is not JSON"):
        read_json(directory, "file", LIMIT)


def test_a_named_file_can_be_reached_through_links(attempt: Path, tmp_path: Path) -> None:
    (attempt / "file").write_text('{"a": 1}')
    (tmp_path / "link").symlink_to(attempt / "file")
    assert read_named_json(tmp_path / "link", LIMIT) == {"a": 1}


@pytest.mark.parametrize("target", ["/dev/zero", "fifo"])
def test_a_named_link_must_point_to_a_regular_file(target: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to(target)
    with pytest.raises(UnreadableFile, match="not a regular file"):
        read_named_file(tmp_path / "link", LIMIT)
