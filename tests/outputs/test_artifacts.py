"""Listing and opening the artifacts of an attempt, and nothing outside its directory."""

import itertools
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evalserver.outputs import ArtifactList, ArtifactNotFound, list_artifacts, open_artifact
from evalserver.outputs.artifacts import MAX_DEPTH

MAX_ENTRIES = 1000


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """The output directory of an attempt."""
    path = tmp_path / "job" / "attempt-1" / "output"
    path.mkdir(parents=True)
    return path


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A directory elsewhere that contains a secret file."""
    path = tmp_path / "elsewhere"
    path.mkdir()
    (path / "secret").write_text("secret")
    return path


def paths(output: Path, max_entries: int = MAX_ENTRIES) -> list[str]:
    """Return the paths of the listed files."""
    return sorted(artifact.path for artifact in list_artifacts(output, max_entries).artifacts)


def content(output: Path, path: str) -> bytes:
    """Return the content of a file."""
    with open_artifact(output, path) as file:
        return file.read()


def test_files_in_nested_directories_are_listed(output: Path) -> None:
    (output / "a" / "b").mkdir(parents=True)
    (output / "a" / "b" / "deep.json").touch()
    (output / "top.json").touch()

    assert paths(output) == ["a/b/deep.json", "top.json"]


def test_a_file_is_listed_with_its_size_and_time(output: Path) -> None:
    (output / "x").write_text("12345")
    os.utime(output / "x", (1_000_000_000, 1_000_000_000))

    [artifact] = list_artifacts(output, MAX_ENTRIES).artifacts

    assert (artifact.size, artifact.modified) == (5, 1_000_000_000.0)


def test_a_file_is_opened_by_its_path(output: Path) -> None:
    (output / "a").mkdir()
    (output / "a" / "x").write_text("here")

    assert content(output, "a/x") == b"here"


@pytest.mark.parametrize(
    "path",
    ["", ".", "..", "a/..", "../x", "a/../../x", "/etc/passwd", "a//x", "a/./x", "x/", "x\0", "a",
     "x/y", "no", "a/no", "n" * 5000],
)  # fmt: skip
def test_invalid_paths_are_not_found(output: Path, path: str) -> None:
    (output / "a").mkdir()
    for place in (output / "a", output, output.parent):
        (place / "x").touch()

    with pytest.raises(ArtifactNotFound):
        open_artifact(output, path)


def test_a_link_to_a_file_is_not_followed(output: Path, secret: Path) -> None:
    (output / "link").symlink_to(secret / "secret")

    with pytest.raises(ArtifactNotFound):
        open_artifact(output, "link")


def test_a_link_to_a_directory_is_not_followed(output: Path, secret: Path) -> None:
    (output / "link").symlink_to(secret)

    with pytest.raises(ArtifactNotFound):
        open_artifact(output, "link/secret")


def test_a_link_inside_the_directory_is_not_followed(output: Path) -> None:
    (output / "x").touch()
    (output / "link").symlink_to("x")

    with pytest.raises(ArtifactNotFound):
        open_artifact(output, "link")


def test_links_are_not_listed(output: Path, secret: Path) -> None:
    (output / "file").symlink_to(secret / "secret")
    (output / "folder").symlink_to(secret)
    (output / "loop").symlink_to(".")

    assert list_artifacts(output, MAX_ENTRIES) == ArtifactList([], truncated=False)


@pytest.mark.parametrize("name", ["attempt-1/output", "attempt-1"])
def test_an_output_directory_replaced_by_a_link_is_not_found(
    output: Path, secret: Path, tmp_path: Path, name: str
) -> None:
    (secret / "output").mkdir()
    place = tmp_path / "job" / name
    place.rename(tmp_path / "gone")
    place.symlink_to(secret)

    with pytest.raises(ArtifactNotFound):
        list_artifacts(output, MAX_ENTRIES)
    with pytest.raises(ArtifactNotFound):
        open_artifact(output, "secret")


def test_links_above_the_directories_of_the_server_are_followed(
    output: Path, tmp_path: Path
) -> None:
    (output / "x").write_text("here")
    (tmp_path / "link").symlink_to(tmp_path / "job")

    assert content(tmp_path / "link" / "attempt-1" / "output", "x") == b"here"


@pytest.mark.timeout(60)
def test_a_fifo_does_not_block(output: Path) -> None:
    os.mkfifo(output / "fifo")

    assert paths(output) == []
    with pytest.raises(ArtifactNotFound):
        open_artifact(output, "fifo")


def test_a_socket_is_not_opened(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(output)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")

        assert paths(output) == []
        with pytest.raises(ArtifactNotFound):
            open_artifact(output, "socket")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")
def test_a_device_is_not_opened(output: Path) -> None:
    try:
        os.mknod(output / "null", 0o20666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("devices cannot be made here")

    assert paths(output) == []
    with pytest.raises(ArtifactNotFound):
        open_artifact(output, "null")


class LinkBetweenSteps:
    """Replaces a file or directory by a link before one system call, and restores it before
    another."""

    def __init__(self, path: Path, target: Path, replace_before: int, restore_before: int) -> None:
        self.calls = 0
        self._path, self._target = path, target
        self._replace_before, self._restore_before = replace_before, restore_before

    def before(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a system call."""

        def called(*arguments: Any, **options: Any) -> Any:
            aside = self._path.with_name("aside")
            if self.calls == self._replace_before:
                self._path.rename(aside)
                self._path.symlink_to(self._target)
            if self.calls == self._restore_before:
                self._path.unlink()
                aside.rename(self._path)
            self.calls += 1
            return call(*arguments, **options)

        return called


STEPS = 6
"""System calls that open ``folder/secret``: one per directory, then stat and open of the file."""


@pytest.mark.parametrize(("name", "target"), [("folder", "."), ("folder/secret", "secret")])
@pytest.mark.parametrize(
    ("replace_before", "restore_before"),
    list(itertools.combinations(range(STEPS + 1), 2)),
    ids=lambda step: str(step),
)
def test_a_link_that_appears_and_disappears_is_never_followed(
    output: Path,
    secret: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    target: str,
    replace_before: int,
    restore_before: int,
) -> None:
    (output / "folder").mkdir()
    (output / "folder" / "secret").write_text("harmless")
    link = LinkBetweenSteps(output / name, secret / target, replace_before, restore_before)
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", link.before(os.open))
        patched.setattr(os, "stat", link.before(os.stat))

        try:
            seen = content(output, "folder/secret")
        except ArtifactNotFound:
            seen = b"nothing"

    assert seen in (b"harmless", b"nothing")


def test_the_swaps_cover_every_step_of_opening_a_file(
    output: Path, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (output / "folder").mkdir()
    (output / "folder" / "secret").write_text("harmless")
    link = LinkBetweenSteps(output / "folder", secret, -1, -1)
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", link.before(os.open))
        patched.setattr(os, "stat", link.before(os.stat))

        assert content(output, "folder/secret") == b"harmless"

    assert link.calls == STEPS


def test_a_listing_reads_at_most_the_given_number_of_entries(output: Path) -> None:
    for number in range(20):
        (output / f"{number}").touch()

    listing = list_artifacts(output, 5)

    assert (len(listing.artifacts), listing.truncated) == (5, True)


def test_directories_count_as_entries(output: Path) -> None:
    for number in range(20):
        (output / f"{number}").mkdir()

    assert list_artifacts(output, 5).truncated


def test_a_listing_of_exactly_the_maximum_is_not_truncated(output: Path) -> None:
    for number in range(5):
        (output / f"{number}").touch()

    assert not list_artifacts(output, 5).truncated


def test_the_depth_of_listed_directories_is_limited(output: Path) -> None:
    output.joinpath(*["d"] * (MAX_DEPTH + 2)).mkdir(parents=True)

    assert list_artifacts(output, MAX_ENTRIES).truncated


def test_a_missing_directory_is_not_found(output: Path) -> None:
    output.rmdir()

    with pytest.raises(ArtifactNotFound):
        list_artifacts(output, MAX_ENTRIES)


def test_a_name_that_is_not_utf_8_is_listed_and_opened(output: Path) -> None:
    Path(os.fsdecode(bytes(output) + b"/\xff")).write_text("here")

    [path] = paths(output)

    assert content(output, path) == b"here"


def test_no_file_descriptor_leaks(output: Path, secret: Path) -> None:
    (output / "a" / "b").mkdir(parents=True)
    (output / "a" / "b" / "x").touch()
    (output / "link").symlink_to(secret)
    before = len(list(Path("/proc/self/fd").iterdir()))

    for path in ("a/b/x", "a/b", "a/no", "link", "link/secret", "..", "a"):
        try:
            open_artifact(output, path).close()
        except ArtifactNotFound:
            continue
    list_artifacts(output, MAX_ENTRIES)

    assert len(list(Path("/proc/self/fd").iterdir())) == before
