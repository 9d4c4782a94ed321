"""Following a log that grows: which lines come, and from where."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from evalserver.monitoring.log_tail import FAR_BEHIND_BYTES, MOST_BYTES, LogPiece, LogTail

Write = Callable[[str], None]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Appends to the log of the run directory."""

    def append(text: str) -> None:
        with (tmp_path / "eval.log").open("a", encoding="utf-8") as file:
            file.write(text)

    return append


def _pipe(path: Path, _: Path) -> None:
    os.mkfifo(path)


def everything(tail: LogTail) -> str:
    """All that is left."""
    text = ""
    while piece := tail.rest():
        text += piece.text
    return text


def test_a_log_that_is_not_there_yet_has_no_lines(tmp_path: Path) -> None:
    tail = LogTail.at_beginning(tmp_path)

    assert (tail.lines(), tail.rest()) == (None, None)


def test_whole_lines_are_read_and_a_half_one_is_waited_for(tmp_path: Path, write: Write) -> None:
    tail = LogTail.at_beginning(tmp_path)
    write("one\ntwo\nthr")

    assert tail.lines() == LogPiece(0, "one\ntwo\n", more=False)
    assert tail.lines() is None


def test_what_comes_later_is_read_from_where_the_last_piece_ended(
    tmp_path: Path, write: Write
) -> None:
    tail = LogTail.at_beginning(tmp_path)
    write("one\ntwo\nthr")
    tail.lines()
    write("ee\n")

    assert tail.lines() == LogPiece(8, "three\n", more=False)


def test_a_bar_that_is_redrawn_is_a_line_each_time(tmp_path: Path, write: Write) -> None:
    tail = LogTail.at_beginning(tmp_path)
    write("\r10%|#\r20%|##")

    assert tail.lines() == LogPiece(0, "\r10%|#\r", more=False)


def test_a_log_has_grown_when_there_is_more_than_was_looked_at(
    tmp_path: Path, write: Write
) -> None:
    tail = LogTail.at_beginning(tmp_path)
    looks = [tail.has_grown()]
    write("one\ntw")
    looks.append(tail.has_grown())
    tail.lines()
    looks.append(tail.has_grown())
    write("o")
    looks.append(tail.has_grown())

    assert looks == [False, True, False, True]


def test_what_did_not_fit_into_a_piece_is_not_looked_at_yet(tmp_path: Path, write: Write) -> None:
    tail = LogTail.at_beginning(tmp_path)
    write("x\n" * MOST_BYTES)
    tail.lines()

    assert tail.has_grown()


def test_the_rest_has_the_half_line_too(tmp_path: Path, write: Write) -> None:
    tail = LogTail.at_beginning(tmp_path)
    write("one\ntwo")

    assert tail.rest() == LogPiece(0, "one\ntwo", more=False)


def test_half_a_character_at_the_very_end_does_not_hold_up_the_rest(tmp_path: Path) -> None:
    (tmp_path / "eval.log").write_bytes("é".encode()[:1])

    assert everything(LogTail.at_beginning(tmp_path)) == "�"


def test_the_end_of_a_log_is_behind_its_last_whole_line(tmp_path: Path, write: Write) -> None:
    write("old\nhalf a")
    tail = LogTail.at_end(tmp_path)
    write(" line\n")

    assert tail.lines() == LogPiece(4, "half a line\n", more=False)


def test_a_piece_is_bounded_and_says_that_more_follows(tmp_path: Path, write: Write) -> None:
    tail = LogTail.at_beginning(tmp_path)
    write("x" * 99 + "\n")
    write(("x" * 99 + "\n") * 1000)

    piece = tail.lines()

    assert piece is not None
    assert piece.more
    assert MOST_BYTES - 100 < len(piece.text) <= MOST_BYTES


def test_a_line_longer_than_a_piece_comes_in_parts(tmp_path: Path, write: Write) -> None:
    tail = LogTail.at_beginning(tmp_path)
    write("x" * (MOST_BYTES + 10))

    assert tail.lines() == LogPiece(0, "x" * MOST_BYTES, more=True)


def test_no_character_is_cut_between_two_pieces(tmp_path: Path, write: Write) -> None:
    text = "x" + "é" * MOST_BYTES
    tail = LogTail.at_beginning(tmp_path)
    write(text)

    assert everything(tail) == text


def test_who_is_far_behind_goes_on_at_a_line_near_the_end(tmp_path: Path, write: Write) -> None:
    line = "x" * 99 + "\n"
    write(line * (FAR_BEHIND_BYTES // 100 + 10))
    size = (tmp_path / "eval.log").stat().st_size

    piece = LogTail.at_beginning(tmp_path).lines()

    assert piece is not None
    assert piece.offset % 100 == 0
    assert 0 < size - piece.offset <= MOST_BYTES


@pytest.mark.parametrize("place", [Path.symlink_to, _pipe], ids=["a link", "a pipe"])
def test_what_has_taken_the_place_of_the_log_is_not_read(
    tmp_path: Path, place: Callable[[Path, Path], None]
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("a secret\n")
    place(tmp_path / "eval.log", secret)
    tail = LogTail.at_beginning(tmp_path)

    assert (tail.has_grown(), tail.lines(), tail.rest()) == (False, None, None)
