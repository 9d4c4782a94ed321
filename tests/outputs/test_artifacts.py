"""Listing and opening what an attempt left: nothing outside of its directory, ever."""

import itertools
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evalserver.outputs import Listing, NoArtifact, list_artifacts, open_artifact
from evalserver.outputs.artifacts import DEEPEST

PLENTY = 1000


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """An attempt's output directory, as the server names them."""
    path = tmp_path / "job" / "attempt-1" / "output"
    path.mkdir(parents=True)
    return path


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A directory elsewhere, with a file that is nobody's business."""
    path = tmp_path / "elsewhere"
    path.mkdir()
    (path / "secret").write_text("secret")
    return path


def paths(output: Path, most: int = PLENTY) -> list[str]:
    """The paths that are listed."""
    return sorted(artifact.path for artifact in list_artifacts(output, most).artifacts)


def content(output: Path, path: str) -> bytes:
    """What a file says."""
    with open_artifact(output, path) as file:
        return file.read()


def test_files_are_listed_however_deep(output: Path) -> None:
    (output / "a" / "b").mkdir(parents=True)
    (output / "a" / "b" / "deep.json").touch()
    (output / "top.json").touch()

    assert paths(output) == ["a/b/deep.json", "top.json"]


def test_a_file_is_listed_with_its_size_and_time(output: Path) -> None:
    (output / "x").write_text("12345")
    os.utime(output / "x", (1_000_000_000, 1_000_000_000))

    [artifact] = list_artifacts(output, PLENTY).artifacts

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
def test_what_is_no_path_of_a_file_in_it_is_not_there(output: Path, path: str) -> None:
    (output / "a").mkdir()
    for place in (output / "a", output, output.parent):
        (place / "x").touch()

    with pytest.raises(NoArtifact):
        open_artifact(output, path)


def test_a_link_to_a_file_is_not_followed(output: Path, secret: Path) -> None:
    (output / "link").symlink_to(secret / "secret")

    with pytest.raises(NoArtifact):
        open_artifact(output, "link")


def test_a_link_on_the_way_is_not_followed(output: Path, secret: Path) -> None:
    (output / "link").symlink_to(secret)

    with pytest.raises(NoArtifact):
        open_artifact(output, "link/secret")


def test_a_link_within_the_directory_is_not_followed_either(output: Path) -> None:
    (output / "x").touch()
    (output / "link").symlink_to("x")

    with pytest.raises(NoArtifact):
        open_artifact(output, "link")


def test_links_are_not_listed(output: Path, secret: Path) -> None:
    (output / "file").symlink_to(secret / "secret")
    (output / "folder").symlink_to(secret)
    (output / "loop").symlink_to(".")

    assert list_artifacts(output, PLENTY) == Listing([], truncated=False)


@pytest.mark.parametrize("name", ["attempt-1/output", "attempt-1"])
def test_an_output_directory_that_became_a_link_is_not_there(
    output: Path, secret: Path, tmp_path: Path, name: str
) -> None:
    (secret / "output").mkdir()
    place = tmp_path / "job" / name
    place.rename(tmp_path / "gone")
    place.symlink_to(secret)

    with pytest.raises(NoArtifact):
        list_artifacts(output, PLENTY)
    with pytest.raises(NoArtifact):
        open_artifact(output, "secret")


def test_links_above_the_servers_own_folders_are_followed(output: Path, tmp_path: Path) -> None:
    (output / "x").write_text("here")
    (tmp_path / "link").symlink_to(tmp_path / "job")

    assert content(tmp_path / "link" / "attempt-1" / "output", "x") == b"here"


@pytest.mark.timeout(60)
def test_a_fifo_hangs_nobody(output: Path) -> None:
    os.mkfifo(output / "fifo")

    assert paths(output) == []
    with pytest.raises(NoArtifact):
        open_artifact(output, "fifo")


def test_a_socket_is_no_file(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(output)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")

        assert paths(output) == []
        with pytest.raises(NoArtifact):
            open_artifact(output, "socket")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")
def test_a_device_is_no_file(output: Path) -> None:
    try:
        os.mknod(output / "null", 0o20666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("devices cannot be made here")

    assert paths(output) == []
    with pytest.raises(NoArtifact):
        open_artifact(output, "null")


class LinkBetweenSteps:
    """Swaps a file or folder for a link before the system call with one number, and back before
    the call with another one."""

    def __init__(self, path: Path, target: Path, come: int, go: int) -> None:
        self.calls = 0
        self._path, self._target = path, target
        self._come, self._go = come, go

    def before(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """The system call, with what happens before it."""

        def called(*arguments: Any, **options: Any) -> Any:
            aside = self._path.with_name("aside")
            if self.calls == self._come:
                self._path.rename(aside)
                self._path.symlink_to(self._target)
            if self.calls == self._go:
                self._path.unlink()
                aside.rename(self._path)
            self.calls += 1
            return call(*arguments, **options)

        return called


STEPS = 6
"""System calls with which ``folder/secret`` is opened: four folders, and a look before the file."""


@pytest.mark.parametrize(("name", "target"), [("folder", "."), ("folder/secret", "secret")])
@pytest.mark.parametrize(
    ("come", "go"), list(itertools.combinations(range(STEPS + 1), 2)), ids=lambda step: str(step)
)
def test_a_link_that_comes_and_goes_is_never_followed(
    output: Path,
    secret: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    target: str,
    come: int,
    go: int,
) -> None:
    (output / "folder").mkdir()
    (output / "folder" / "secret").write_text("harmless")
    link = LinkBetweenSteps(output / name, secret / target, come, go)
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", link.before(os.open))
        patched.setattr(os, "stat", link.before(os.stat))

        try:
            seen = content(output, "folder/secret")
        except NoArtifact:
            seen = b"nothing"

    assert seen in (b"harmless", b"nothing")


def test_every_step_on_the_way_to_a_file_was_one_before_which_a_link_came(
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


def test_no_more_is_looked_at_than_was_asked_for(output: Path) -> None:
    for number in range(20):
        (output / f"{number}").touch()

    listing = list_artifacts(output, 5)

    assert (len(listing.artifacts), listing.truncated) == (5, True)


def test_folders_count_as_well(output: Path) -> None:
    for number in range(20):
        (output / f"{number}").mkdir()

    assert list_artifacts(output, 5).truncated


def test_a_list_that_is_as_long_as_it_may_be_is_whole(output: Path) -> None:
    for number in range(5):
        (output / f"{number}").touch()

    assert not list_artifacts(output, 5).truncated


def test_folders_without_end_are_not_followed_for_ever(output: Path) -> None:
    output.joinpath(*["d"] * (DEEPEST + 2)).mkdir(parents=True)

    assert list_artifacts(output, PLENTY).truncated


def test_a_directory_that_is_not_there_cannot_be_listed(output: Path) -> None:
    output.rmdir()

    with pytest.raises(NoArtifact):
        list_artifacts(output, PLENTY)


def test_a_name_that_is_no_text_is_a_name_all_the_same(output: Path) -> None:
    Path(os.fsdecode(bytes(output) + b"/\xff")).write_text("here")

    [path] = paths(output)

    assert content(output, path) == b"here"


def test_no_descriptor_is_left_open(output: Path, secret: Path) -> None:
    (output / "a" / "b").mkdir(parents=True)
    (output / "a" / "b" / "x").touch()
    (output / "link").symlink_to(secret)
    before = len(list(Path("/proc/self/fd").iterdir()))

    for path in ("a/b/x", "a/b", "a/no", "link", "link/secret", "..", "a"):
        try:
            open_artifact(output, path).close()
        except NoArtifact:
            continue
    list_artifacts(output, PLENTY)

    assert len(list(Path("/proc/self/fd").iterdir())) == before
