"""Marks of leases, as a trainer reads them without the server."""

import os
from pathlib import Path

import pytest

from evalserver import is_leased
from evalserver.core.lease_marks import COMPLETE, NEEDED, mark_name, mark_text


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """An empty checkpoint."""
    place = tmp_path / "checkpoint-100"
    place.mkdir()
    return place


def test_a_checkpoint_without_a_mark_is_not_leased(checkpoint: Path) -> None:
    assert not is_leased(checkpoint)


def test_a_checkpoint_that_does_not_exist_is_not_leased(checkpoint: Path) -> None:
    assert not is_leased(checkpoint / "none")


@pytest.mark.parametrize(("state", "expected"), [(NEEDED, True), (COMPLETE, False)])
def test_a_mark_says_whether_the_checkpoint_is_needed(
    checkpoint: Path, state: str, expected: bool
) -> None:
    (checkpoint / mark_name("job")).write_bytes(mark_text("job", state))

    assert is_leased(checkpoint) is expected


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff", b"{}", b'{"state": null}', b"[" * 60_000]
)
def test_a_mark_that_does_not_say_complete_counts_as_needed(
    checkpoint: Path, content: bytes
) -> None:
    (checkpoint / mark_name("job")).write_bytes(content)

    assert is_leased(checkpoint)


def test_a_mark_that_cannot_be_read_counts_as_needed_and_is_not_waited_for(
    checkpoint: Path,
) -> None:
    os.mkfifo(checkpoint / mark_name("job"))

    assert is_leased(checkpoint)


def test_a_mark_below_the_path_counts(checkpoint: Path) -> None:
    (checkpoint / mark_name("job")).write_bytes(mark_text("job", NEEDED))

    assert is_leased(checkpoint.parent)
