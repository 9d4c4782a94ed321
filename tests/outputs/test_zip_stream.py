"""A zip archive that is built while it is sent."""

import io
import os
import zipfile
from pathlib import Path

import pytest

from evalserver.outputs import list_artifacts, zip_chunks
from evalserver.outputs.artifacts import Artifact
from evalserver.outputs.zip_stream import CHUNK_BYTES, safe_name


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """An attempt's output directory."""
    path = tmp_path / "attempt-1" / "output"
    path.mkdir(parents=True)
    return path


def archive(output: Path) -> zipfile.ZipFile:
    """Read the whole archive."""
    chunks = zip_chunks(output, list_artifacts(output, 1000).artifacts)
    return zipfile.ZipFile(io.BytesIO(b"".join(chunks)))


def test_an_archive_contains_every_file(output: Path) -> None:
    files = {"top.json": b"{}", "a/b/deep": os.urandom(3 * CHUNK_BYTES + 1), "empty": b""}
    for name, content in files.items():
        (output / name).parent.mkdir(parents=True, exist_ok=True)
        (output / name).write_bytes(content)

    with archive(output) as found:
        assert {name: found.read(name) for name in found.namelist()} == files


def test_an_archive_without_files_is_valid(output: Path) -> None:
    with archive(output) as found:
        assert found.namelist() == []


def test_a_removed_file_is_left_out_and_listed_in_the_comment(output: Path) -> None:
    (output / "here").write_text("x")
    artifacts = [Artifact("gone", 1, 0.0), Artifact("here", 1, 0.0)]

    data = b"".join(zip_chunks(output, artifacts))

    with zipfile.ZipFile(io.BytesIO(data)) as found:
        assert found.namelist() == ["here"]
        assert found.comment.startswith(b"1 files were removed")
        assert found.comment.endswith(b"\ngone")


def test_a_file_replaced_by_a_link_is_left_out(output: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (output / "x").write_text("x")
    artifacts = list_artifacts(output, 10).artifacts
    (output / "x").unlink()
    (output / "x").symlink_to(tmp_path / "secret")

    data = b"".join(zip_chunks(output, artifacts))

    assert zipfile.ZipFile(io.BytesIO(data)).namelist() == []


def test_a_file_that_shrinks_meanwhile_is_shortened(output: Path) -> None:
    path = output / "x"
    path.write_bytes(b"x" * 4 * CHUNK_BYTES)
    chunks = zip_chunks(output, list_artifacts(output, 10).artifacts)
    data = next(chunks)
    path.write_bytes(b"")

    data += b"".join(chunks)

    with zipfile.ZipFile(io.BytesIO(data)) as found:
        assert found.read("x") == b"x" * CHUNK_BYTES


def test_a_file_that_grows_meanwhile_has_its_first_size(output: Path) -> None:
    path = output / "x"
    path.write_bytes(b"x" * 2 * CHUNK_BYTES)
    chunks = zip_chunks(output, list_artifacts(output, 10).artifacts)
    data = next(chunks)
    with path.open("ab") as file:
        file.write(b"y" * CHUNK_BYTES)

    data += b"".join(chunks)

    with zipfile.ZipFile(io.BytesIO(data)) as found:
        assert found.read("x") == b"x" * 2 * CHUNK_BYTES


def test_an_archive_comes_in_chunks(output: Path) -> None:
    (output / "x").write_bytes(os.urandom(8 * CHUNK_BYTES))

    chunks = list(zip_chunks(output, list_artifacts(output, 10).artifacts))

    assert max(map(len, chunks)) < 2 * CHUNK_BYTES


def test_a_stream_that_is_closed_early_leaves_no_file_open(output: Path) -> None:
    (output / "x").write_bytes(os.urandom(8 * CHUNK_BYTES))
    before = len(list(Path("/proc/self/fd").iterdir()))
    chunks = zip_chunks(output, list_artifacts(output, 10).artifacts)
    next(chunks)

    chunks.close()

    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize("modified", [-5e9, 0.0, 1e9, 9e9])
def test_a_file_can_have_any_modification_time(output: Path, modified: float) -> None:
    (output / "x").touch()
    os.utime(output / "x", (modified, modified))

    with archive(output) as found:
        assert found.testzip() is None


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("model/results_2026-11-23T15-14-04.785161.json", None),
        ("größe/数.json", None),
        ("..\\..\\evil.exe", "..%5C..%5Cevil.exe"),
        ("C:evil", "C%3Aevil"),
        ("line\nbreak", "line%0Abreak"),
        ("100%", "100%25"),
        (os.fsdecode(b"\xff\xfe"), "%FF%FE"),
    ],
)
def test_unsafe_characters_of_names_are_percent_encoded(
    output: Path, path: str, name: str | None
) -> None:
    (output / path).parent.mkdir(exist_ok=True)
    (output / path).touch()

    with archive(output) as found:
        assert found.namelist() == [name or path]


def test_different_files_have_different_names() -> None:
    assert safe_name("a%5Cb") != safe_name("a\\b")
