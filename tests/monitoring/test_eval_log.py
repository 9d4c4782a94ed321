"""Reading the log of an attempt: huge logs, missing logs, and files that are no logs."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from evalserver.monitoring.eval_log import BLOCK_BYTES, EvalLog, LogGone, LogUnreadable
from evalserver.runner.files import EXIT_FILE, LOG_FILE
from tests.support import without_permissions


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A run directory without a log."""
    path = tmp_path / "attempt-1"
    path.mkdir()
    return path


@pytest.fixture
def eval_log(run_dir: Path) -> Iterator[EvalLog]:
    """The log of that run directory."""
    log = EvalLog(run_dir)
    yield log
    log.close()


def test_the_log_is_empty_before_an_attempt_has_begun() -> None:
    log = EvalLog(None)

    assert (log.size(), log.read(0), log.find_last_lines(5, 0)) == (0, b"", 0)


def test_the_log_is_empty_until_the_runner_creates_it(run_dir: Path, eval_log: EvalLog) -> None:
    before = eval_log.size()
    (run_dir / LOG_FILE).write_bytes(b"begun")

    assert (before, eval_log.read(0)) == (0, b"begun")


def test_appended_bytes_are_read_from_the_end_of_the_last_piece(
    run_dir: Path, eval_log: EvalLog
) -> None:
    with (run_dir / LOG_FILE).open("ab", buffering=0) as file:
        file.write(b"first ")
        first = eval_log.read(0)
        file.write(b"second")

        assert (first, eval_log.read(len(first)), eval_log.read(99)) == (b"first ", b"second", b"")


@given(st.lists(st.sampled_from([b"\n", b"a", b"line\n", b"\r", b"x" * 100])), st.integers(0, 9))
@example([b"a\n", b"b\n"], 1)
@example([b"a\n", b"b"], 1)
def test_the_last_lines_are_counted_by_newlines(
    tmp_path_factory: pytest.TempPathFactory, parts: list[bytes], lines: int
) -> None:
    content = b"".join(parts)
    run_dir = tmp_path_factory.mktemp("run")
    (run_dir / LOG_FILE).write_bytes(content)
    log = EvalLog(run_dir)

    start = log.find_last_lines(lines, len(content))
    log.close()

    ended = [line for line in re.findall(rb"[^\n]*\n?", content) if line]
    assert content[start:] == b"".join(ended[max(0, len(ended) - lines) :])


@pytest.mark.parametrize("length", [BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES])
def test_the_last_lines_are_found_across_blocks(
    run_dir: Path, eval_log: EvalLog, length: int
) -> None:
    last_two = b"x" * length + b"\n" + b"y" * length + b"\n"
    (run_dir / LOG_FILE).write_bytes(b"first\n" + last_two)

    assert eval_log.find_last_lines(2, eval_log.size()) == len(b"first\n")


def test_the_last_line_of_two_gigabytes_is_found_from_the_end(
    run_dir: Path, eval_log: EvalLog
) -> None:
    with (run_dir / LOG_FILE).open("wb") as file:
        file.seek(2 * 2**30)
        file.write(b"\nlast line\n")

    start = eval_log.find_last_lines(1, eval_log.size())

    assert eval_log.read(start) == b"last line\n"


def test_the_log_of_a_removed_run_directory_is_gone(run_dir: Path, eval_log: EvalLog) -> None:
    run_dir.rmdir()

    with pytest.raises(LogGone, match=r"run directory .* was removed"):
        eval_log.size()


def test_a_removed_log_is_gone(run_dir: Path, eval_log: EvalLog) -> None:
    _end(run_dir, "exited", 0)

    with pytest.raises(LogGone, match=r"eval\.log was removed"):
        eval_log.size()


@pytest.mark.parametrize(
    ("reason", "exit_code"),
    [("not_started", 127), ("cancelled", None)],
    ids=["not started", "cancelled"],
)
def test_an_attempt_whose_harness_never_ran_has_an_empty_log(
    run_dir: Path, eval_log: EvalLog, reason: str, exit_code: int | None
) -> None:
    _end(run_dir, reason, exit_code)

    assert eval_log.size() == 0


def _end(run_dir: Path, reason: str, exit_code: int | None) -> None:
    (run_dir / EXIT_FILE).write_text(json.dumps({"reason": reason, "exit_code": exit_code}))


def test_a_link_named_like_the_log_is_not_followed(run_dir: Path, eval_log: EvalLog) -> None:
    (run_dir.parent / "secret").write_text("a secret")
    (run_dir / LOG_FILE).symlink_to(run_dir.parent / "secret")

    with pytest.raises(LogGone, match="not a regular file any more"):
        eval_log.read(0)


def test_a_fifo_named_like_the_log_does_not_block(run_dir: Path, eval_log: EvalLog) -> None:
    os.mkfifo(run_dir / LOG_FILE)

    with pytest.raises(LogGone, match="not a regular file any more"):
        eval_log.read(0)


def test_a_directory_named_like_the_log_is_not_read(run_dir: Path, eval_log: EvalLog) -> None:
    (run_dir / LOG_FILE).mkdir()

    with pytest.raises(LogGone, match="not a regular file any more"):
        eval_log.read(0)


def test_a_log_without_read_permission_is_unreadable_and_not_gone(
    run_dir: Path, eval_log: EvalLog
) -> None:
    (run_dir / LOG_FILE).touch(mode=0o000)

    with without_permissions(), pytest.raises(LogUnreadable, match="Permission denied"):
        eval_log.read(0)


def test_a_closed_log_is_not_opened_again(run_dir: Path, eval_log: EvalLog) -> None:
    (run_dir / LOG_FILE).write_bytes(b"text")
    eval_log.close()

    assert eval_log.read(0) == b""
