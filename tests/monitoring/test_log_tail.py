"""Following a log that grows: which lines are returned, and from which offset."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from evalserver.monitoring.log_tail import MAX_LAG_BYTES, MAX_PIECE_BYTES, LogPiece, LogTail

Write = Callable[[str], None]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Append to the log in the run directory."""

    def append(text: str) -> None:
        with (tmp_path / "eval.log").open("a", encoding="utf-8") as file:
            file.write(text)

    return append


def _make_fifo(path: Path, _: Path) -> None:
    os.mkfifo(path)


def read_all(tail: LogTail) -> str:
    """Read to the end of the log."""
    text = ""
    while piece := tail.read_rest():
        text += piece.text
    return text


def test_a_log_that_does_not_exist_yet_has_no_lines(tmp_path: Path) -> None:
    tail = LogTail.at_beginning(tmp_path)

    assert (tail.read_lines(), tail.read_rest()) == (None, None)


def test_complete_lines_are_read_and_an_incomplete_one_is_left(
    tmp_path: Path, write: Write
) -> None:
    tail = LogTail.at_beginning(tmp_path)
    write("one\ntwo\nthr")

    assert tail.read_lines() == LogPiece(0, "one\ntwo\n", more=False)
    assert tail.read_lines() is None


def test_appended_text_is_read_from_the_end_of_the_last_piece(tmp_path: Path, write: Write) -> None:
    tail = LogTail.at_beginning(tmp_path)
    write("one\ntwo\nthr")
    tail.read_lines()
    write("ee\n")

    assert tail.read_lines() == LogPiece(8, "three\n", more=False)


def test_each_state_of_a_progress_bar_is_a_line(tmp_path: Path, write: Write) -> None:
    tail = LogTail.at_beginning(tmp_path)
    write("\r10%|#\r20%|##")

    assert tail.read_lines() == LogPiece(0, "\r10%|#\r", more=False)


def test_a_log_has_grown_if_there_is_more_than_was_read(tmp_path: Path, write: Write) -> None:
    tail = LogTail.at_beginning(tmp_path)
    grown = [tail.has_grown()]
    write("one\ntw")
    grown.append(tail.has_grown())
    tail.read_lines()
    grown.append(tail.has_grown())
    write("o")
    grown.append(tail.has_grown())

    assert grown == [False, True, False, True]


def test_text_that_did_not_fit_into_a_piece_counts_as_growth(tmp_path: Path, write: Write) -> None:
    tail = LogTail.at_beginning(tmp_path)
    write("x\n" * MAX_PIECE_BYTES)
    tail.read_lines()

    assert tail.has_grown()


def test_the_rest_includes_an_incomplete_line(tmp_path: Path, write: Write) -> None:
    tail = LogTail.at_beginning(tmp_path)
    write("one\ntwo")

    assert tail.read_rest() == LogPiece(0, "one\ntwo", more=False)


def test_an_incomplete_character_at_the_end_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "eval.log").write_bytes("é".encode()[:1])

    assert read_all(LogTail.at_beginning(tmp_path)) == "�"


def test_the_end_of_a_log_is_after_its_last_complete_line(tmp_path: Path, write: Write) -> None:
    write("old\nhalf a")
    tail = LogTail.at_end(tmp_path)
    write(" line\n")

    assert tail.read_lines() == LogPiece(4, "half a line\n", more=False)


def test_a_piece_is_limited_and_says_that_more_follows(tmp_path: Path, write: Write) -> None:
    tail = LogTail.at_beginning(tmp_path)
    write("x" * 99 + "\n")
    write(("x" * 99 + "\n") * 1000)

    piece = tail.read_lines()

    assert piece is not None
    assert piece.more
    assert MAX_PIECE_BYTES - 100 < len(piece.text) <= MAX_PIECE_BYTES


def test_a_line_longer_than_a_piece_is_split(tmp_path: Path, write: Write) -> None:
    tail = LogTail.at_beginning(tmp_path)
    write("x" * (MAX_PIECE_BYTES + 10))

    assert tail.read_lines() == LogPiece(0, "x" * MAX_PIECE_BYTES, more=True)


def test_no_character_is_split_between_two_pieces(tmp_path: Path, write: Write) -> None:
    text = "x" + "é" * MAX_PIECE_BYTES
    tail = LogTail.at_beginning(tmp_path)
    write(text)

    assert read_all(tail) == text


def test_a_reader_far_behind_continues_at_a_line_near_the_end(tmp_path: Path, write: Write) -> None:
    line = "x" * 99 + "\n"
    write(line * (MAX_LAG_BYTES // 100 + 10))
    size = (tmp_path / "eval.log").stat().st_size

    piece = LogTail.at_beginning(tmp_path).read_lines()

    assert piece is not None
    assert piece.offset % 100 == 0
    assert 0 < size - piece.offset <= MAX_PIECE_BYTES


@pytest.mark.parametrize("replace", [Path.symlink_to, _make_fifo], ids=["link", "fifo"])
def test_a_log_replaced_by_anything_but_a_regular_file_is_not_read(
    tmp_path: Path, replace: Callable[[Path, Path], None]
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("a secret\n")
    replace(tmp_path / "eval.log", secret)
    tail = LogTail.at_beginning(tmp_path)

    assert (tail.has_grown(), tail.read_lines(), tail.read_rest()) == (False, None, None)
