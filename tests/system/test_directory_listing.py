"""Listing untrusted directories: bounded, without recursion, safe against concurrent changes."""

import os
import subprocess
from pathlib import Path

import pytest

from evalserver.system import directory_listing
from evalserver.system.directory_listing import list_files
from tests.support import make_accessible, without_permissions


def _names(path: Path) -> list[str]:
    return sorted(name for name, _ in list_files(path).files)


def test_files_are_listed_by_their_relative_paths(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    for name in ("one", "a/two", "a/b/three"):
        (tmp_path / name).touch()

    assert _names(tmp_path) == ["a/b/three", "a/two", "one"]


def test_listing_a_file_returns_the_file(tmp_path: Path) -> None:
    (tmp_path / "weights").touch()

    assert _names(tmp_path / "weights") == ["weights"]


def test_links_are_followed_to_files_but_not_to_directories(tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / "blob").touch()
    snapshot = tmp_path / "snapshot"
    snapshot.mkdir()
    (snapshot / "weights").symlink_to("../blobs/blob")
    (snapshot / "all").symlink_to(tmp_path)

    assert _names(snapshot) == ["weights"]


def test_exceeding_the_file_limit_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory_listing, "MAX_FILES", 3)
    for number in range(4):
        (tmp_path / str(number)).touch()

    listing = list_files(tmp_path)

    assert (len(listing.files), listing.incomplete) == (3, "has too many files: 3 or more")


def test_directories_count_towards_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory_listing, "MAX_ENTRIES", 3)
    for number in range(4):
        (tmp_path / str(number)).mkdir()

    assert list_files(tmp_path).incomplete == "has too many entries: more than 3"


def test_a_listing_that_takes_too_long_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory_listing, "MAX_SECONDS", -1.0)
    (tmp_path / "file").touch()

    assert "has too much to be listed" in (list_files(tmp_path).incomplete or "")


def test_directories_can_be_nested_deeper_than_the_recursion_limit(
    tmp_path: Path,
) -> None:
    above = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=above)
        below = os.open("d", os.O_RDONLY, dir_fd=above)
        os.close(above)
        above = below
    os.close(above)

    try:
        assert list_files(tmp_path).files == ()
    finally:
        # pytest removes directories recursively, which would fail here.
        subprocess.run(["rm", "-rf", str(tmp_path / "d")], check=True)


def test_a_directory_that_vanishes_during_the_listing_is_omitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kept").touch()
    (tmp_path / "rotated").mkdir()
    scandir = os.scandir

    def rotating(path: Path) -> object:
        if Path(path).name == "rotated":
            (tmp_path / "rotated").rmdir()
        return scandir(path)

    monkeypatch.setattr(os, "scandir", rotating)

    assert (_names(tmp_path), list_files(tmp_path).incomplete) == (["kept"], None)


def test_an_unreadable_directory_is_reported(tmp_path: Path) -> None:
    (tmp_path / "private").mkdir(mode=0o700)

    make_accessible(tmp_path / "private")
    with without_permissions():
        listing = list_files(tmp_path)

    assert listing.incomplete == f"cannot be listed: {tmp_path}/private: Permission denied"
