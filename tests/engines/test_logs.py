"""The end of a harness's log in an error message: short plain text, and the likely cause."""

from pathlib import Path

import pytest

from evalserver.engines.logs import BYTES, LINES, cause, shorten_tracebacks, tail

BAR = "Model Responding: {percent:>3}%|####      | {percent}/100 [00:01<00:02, 20.03it/s]"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """The path of a log that does not exist yet."""
    return tmp_path / "eval.log"


def test_a_short_log_is_kept_completely(log: Path) -> None:
    log.write_text("first\nsecond\n")

    assert tail(log.parent) == "first\nsecond"


def test_the_last_50_lines_of_a_long_log_are_kept(log: Path) -> None:
    log.write_text("".join(f"line {number}\n" for number in range(1000)))

    assert tail(log.parent).split("\n") == [f"line {number}" for number in range(950, 1000)]
    assert LINES == 50


def test_the_last_16_kb_of_long_lines_are_kept(log: Path) -> None:
    log.write_text("".join(f"{'x' * 1000} {number}\n" for number in range(100)))

    kept = tail(log.parent)

    assert len(kept.encode()) == BYTES == 16 * 1024
    assert kept.endswith("x 98\n" + "x" * 1000 + " 99")


def test_a_cut_in_the_middle_of_a_character_leaves_valid_text(log: Path) -> None:
    log.write_text("é" * BYTES + "x")

    kept = tail(log.parent)

    assert set(kept) == {"é", "x"}
    assert len(kept.encode()) <= BYTES


def test_only_the_end_of_a_line_of_100_mb_is_kept(log: Path) -> None:
    with log.open("wb") as file:
        file.seek(100 * 2**20)
        file.write(b"x" * BYTES)

    assert tail(log.parent) == "x" * BYTES


def test_the_last_state_of_a_progress_bar_is_kept(log: Path) -> None:
    states = "".join("\r" + BAR.format(percent=percent) for percent in range(101))
    log.write_text(f"begins\n{states}\nends\n", newline="")

    assert tail(log.parent).split("\n") == ["begins", BAR.format(percent=100), "ends"]


def test_the_last_state_of_an_unfinished_progress_bar_is_kept(log: Path) -> None:
    log.write_text(f"\r{BAR.format(percent=1)}\r{BAR.format(percent=2)}\r", newline="")

    assert tail(log.parent) == BAR.format(percent=2)


def test_lines_with_windows_line_ends_are_kept(log: Path) -> None:
    log.write_text("first\r\nsecond\r\n", newline="")

    assert tail(log.parent) == "first\nsecond"


def test_colours_are_removed(log: Path) -> None:
    log.write_text("\x1b[32m2026-11-23\x1b[0m | \x1b[1;31mERROR\x1b[0m | no such task\n")

    assert tail(log.parent) == "2026-11-23 | ERROR | no such task"


def test_empty_lines_are_left_out(log: Path) -> None:
    log.write_text("first\n\n   \n\x1b[0m\nsecond\n\n")

    assert tail(log.parent) == "first\nsecond"


def test_undecodable_bytes_are_accepted(log: Path) -> None:
    log.write_bytes(b"first \xff\xfe\nsecond\n")

    assert tail(log.parent).endswith("\nsecond")


def test_without_a_log_there_is_no_tail(log: Path) -> None:
    assert tail(log.parent) == ""


CAUSES = {
    "builtin": ("ValueError: Tasks not found: nosuchtask", True),
    "with its module": ("torch.cuda.OutOfMemoryError: CUDA out of memory.", True),
    "without a message": ("KeyboardInterrupt", True),
    "indented": ("    RuntimeError: of a chained traceback", True),
    "a remark": ("Errors are counted later", False),
    "a log line": ("2026-11-23 | WARNING | ValueError was ignored", False),
}


@pytest.mark.parametrize(("line", "names_one"), CAUSES.values(), ids=CAUSES.keys())
def test_a_cause_is_a_line_that_starts_with_an_exception(line: str, names_one: bool) -> None:
    assert cause(f"before\n{line}\nafter") == (line.strip() if names_one else None)


def test_the_last_of_several_exceptions_is_the_cause() -> None:
    assert cause("KeyError: 'a'\nValueError: b\ndone") == "ValueError: b"


def test_a_long_cause_is_truncated_with_an_ellipsis() -> None:
    found = cause("ValueError: " + "x" * 5000)

    assert found == f"ValueError: {'x' * 487}…"


def test_an_empty_log_has_no_cause() -> None:
    assert cause("") is None


def traceback_of(frames: int) -> str:
    """A traceback of that many frames."""
    calls = "".join(f'  File "/x/{n}.py", line {n}, in f\n    call()\n' for n in range(frames))
    return f"Traceback (most recent call last):\n{calls}KeyError: 'a'"


def test_a_long_traceback_keeps_its_last_frames() -> None:
    shortened = shorten_tracebacks(f"before\n{traceback_of(9)}\nafter", most_frames=2)

    assert shortened == (
        "before\nTraceback (most recent call last):\n  ... 7 frames left out ...\n"
        '  File "/x/7.py", line 7, in f\n    call()\n  File "/x/8.py", line 8, in f\n    call()\n'
        "KeyError: 'a'\nafter"
    )


@pytest.mark.parametrize(
    "text", ["", "a\nb\n", traceback_of(2), "Traceback (most recent call last):"]
)
def test_short_tracebacks_and_other_texts_are_kept(text: str) -> None:
    assert shorten_tracebacks(text, most_frames=2) == text
