"""Secrets in the files of an attempt become asterisks, and nothing else changes."""

import os
from pathlib import Path

import pytest

from evalserver.outputs import mask_files
from evalserver.outputs.masked_files import CHUNK_BYTES

SECRET = "sk-quite-secret"  # noqa: S105 - the test's own


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """The output directory of an attempt."""
    path = tmp_path / "job" / "attempt-1" / "output"
    path.mkdir(parents=True)
    return path


@pytest.mark.parametrize(
    ("secrets", "text", "masked"),
    [
        ([SECRET], f'{{"api_key": "{SECRET}"}}', '{"api_key": "***************"}'),
        ([SECRET], f"{SECRET}{SECRET}", "*" * 30),
        ([SECRET, f"{SECRET}-longer"], f"{SECRET}-longer!", f"{'*' * 22}!"),
        ([SECRET], "nothing", "nothing"),
        ([], SECRET, SECRET),
        (["größer"], "ein größeres", "ein ********es"),
        (["a.*b"], "a.*b axxb", "**** axxb"),
    ],
)
def test_secrets_become_asterisks(output: Path, secrets: list[str], text: str, masked: str) -> None:
    (output / "deep").mkdir()
    file = output / "deep" / "results.json"
    file.write_text(text)

    assert mask_files(output, secrets) == []

    assert file.read_text() == masked


@pytest.mark.parametrize("before", range(-len(SECRET), 2))
def test_a_secret_across_two_pieces_is_masked(output: Path, before: int) -> None:
    file = output / "large"
    file.write_bytes(b"x" * (CHUNK_BYTES + before) + SECRET.encode() + b"x" * CHUNK_BYTES)
    size = file.stat().st_size

    mask_files(output, [SECRET])

    text = file.read_bytes()
    assert (len(text), text.count(b"*"), SECRET.encode() in text) == (size, len(SECRET), False)


@pytest.mark.parametrize("before", range(-len(f"{SECRET}-longer"), 2))
def test_the_longer_of_two_secrets_across_two_pieces_is_masked(output: Path, before: int) -> None:
    file = output / "large"
    file.write_bytes(b"x" * (CHUNK_BYTES + before) + f"{SECRET}-longer!".encode())

    mask_files(output, [SECRET, f"{SECRET}-longer"])

    assert file.read_bytes().endswith(b"x" + b"*" * len(f"{SECRET}-longer") + b"!")


@pytest.mark.parametrize("size", [CHUNK_BYTES - 1, CHUNK_BYTES, 2 * CHUNK_BYTES + 7])
def test_a_file_of_only_secrets_is_masked_completely(output: Path, size: int) -> None:
    file = output / "large"
    file.write_bytes(b"a" * size)

    mask_files(output, ["a" * 8])

    text = file.read_bytes()
    assert (len(text), b"a" * 8 in text) == (size, False)


def test_the_modification_time_of_a_file_is_kept(output: Path) -> None:
    file = output / "results.json"
    file.write_text(SECRET)
    os.utime(file, (1, 2))

    mask_files(output, [SECRET])

    assert file.stat().st_mtime == 2


def test_files_outside_the_directory_are_not_changed(output: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    foreign, twice = outside / "foreign", outside / "twice"
    for file in (foreign, twice):
        file.write_text(SECRET)
    (output / "link").symlink_to(foreign)
    (output / "folder").symlink_to(outside)
    (output / "same").hardlink_to(twice)
    os.mkfifo(output / "pipe")

    mask_files(output, [SECRET])

    assert (foreign.read_text(), twice.read_text()) == (SECRET, SECRET)


def test_a_missing_output_directory_is_not_an_error(output: Path) -> None:
    assert mask_files(output / "gone", [SECRET]) == []


def test_a_sparse_file_of_terabytes_is_masked_at_both_ends(output: Path) -> None:
    file = output / "samples.jsonl"
    end = 4 * 2**40
    with file.open("wb") as writing:
        writing.write(f"begins with {SECRET}".encode())
        writing.seek(end)
        writing.write(f"ends with {SECRET}".encode())

    assert mask_files(output, [SECRET]) == []

    with file.open("rb") as reading:
        assert reading.read(27) == b"begins with ***************"
        reading.seek(end)
        assert reading.read() == b"ends with ***************"


def list_names(output: Path) -> set[str]:
    """Return the paths of all files and directories."""
    return {str(path.relative_to(output)) for path in output.rglob("*")}


def test_secrets_in_names_become_asterisks(output: Path) -> None:
    (output / f"run-{SECRET}").mkdir()
    (output / f"run-{SECRET}" / f"{SECRET}.json").write_text("{}")
    stars = "*" * len(SECRET)

    assert mask_files(output, [SECRET]) == []

    assert list_names(output) == {f"run-{stars}", f"run-{stars}/{stars}.json"}


def test_names_that_are_equal_once_masked_get_numbers(output: Path) -> None:
    for name in ("first-key", "other-key"):
        (output / f"{name}.txt").write_text("x")
    (output / "*********.txt").write_text("kept")

    mask_files(output, ["first-key", "other-key"])

    assert list_names(output) == {"*********.txt", "~2*******.txt", "~3*******.txt"}
    assert (output / "*********.txt").read_text() == "kept"


def test_a_secret_that_spans_two_names_is_masked(output: Path) -> None:
    (output / "abcd").mkdir()
    (output / "abcd" / "efgh.txt").write_text("x")

    mask_files(output, ["abcd/efgh"])

    assert list_names(output) == {"****", "****/****.txt"}
