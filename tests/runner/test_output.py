"""The output of a harness in its log: complete, in order, and without secrets."""

import os
import re
from itertools import product
from pathlib import Path

import pytest

from evalserver.runner.files import LOG_FILE
from evalserver.runner.output import MAX_PART_BYTES, Mask, MaskedLog
from tests.runner.runs import Run

SECRET = "sk-0123456789"  # noqa: S105 - nobody's


async def test_a_secret_is_masked_before_it_is_written(run: Run) -> None:
    run.prepare(f"print('key={SECRET}, and {SECRET}{SECRET} again')", secrets=[SECRET])

    run.start_runner()
    await run.end()

    assert run.log == "key=[secret], and [secret][secret] again\n"


@pytest.mark.parametrize("cut", range(1, len(SECRET)))
def test_a_secret_that_arrives_in_two_pieces_is_masked(tmp_path: Path, cut: int) -> None:
    pieces = [f"key={SECRET[:cut]}", f"{SECRET[cut:]}\n"]

    assert _logged(tmp_path, pieces, [SECRET]) == "key=[secret]\n"


def test_the_longer_of_two_secrets_is_masked_completely(tmp_path: Path) -> None:
    assert _logged(tmp_path, [f"{SECRET}-more"], [SECRET, f"{SECRET}-more"]) == "[secret]"


def test_a_long_secret_in_two_pieces_is_masked_along_with_a_short_one(tmp_path: Path) -> None:
    long = f"{SECRET}-and-much-more"
    pieces = [f"key={long[:-1]}", f"{long[-1]}\n"]

    assert _logged(tmp_path, pieces, ["short-one", long]) == "key=[secret]\n"


@pytest.mark.parametrize(
    "secrets",
    [[b"ab", b"abca"], [b"ab", b"bab", b"abaa"], [b"aa", b"aaa"], [b"a", b"cb", b"bcab"], [b"abc"]],
)
def test_the_result_does_not_depend_on_where_the_output_is_cut(secrets: list[bytes]) -> None:
    by_length = sorted(secrets, key=lambda secret: len(secret), reverse=True)
    longest_first = re.compile(b"|".join(by_length))
    for letters in product(b"abc", repeat=6):
        text = bytes(letters)
        whole = longest_first.sub(b"*", text)
        for cuts in product((False, True), repeat=len(text) - 1):
            assert _masked(text, cuts, secrets) == whole, (text, cuts)


def test_a_very_long_secret_is_masked(tmp_path: Path) -> None:
    secret = "".join(f"{number:06d}" for number in range(MAX_PART_BYTES))

    masked = _logged(tmp_path, [f"key={secret[:5000]}", f"{secret[5000:]} end"], [secret])

    assert re.fullmatch(r"key=(\[secret\])+ end", masked)


def test_an_undecodable_secret_is_masked(tmp_path: Path) -> None:
    log = MaskedLog(tmp_path / LOG_FILE, [os.fsdecode(b"\xff\xfe-0123456789")])

    log.feed(b"key=\xff\xfe-0123456789")
    log.finish()

    assert (tmp_path / LOG_FILE).read_bytes() == b"key=[secret]"


def test_an_incomplete_secret_is_not_masked(tmp_path: Path) -> None:
    assert _logged(tmp_path, ["sk-01", "x sk-0"], [SECRET]) == "sk-01x sk-0"


async def test_undecodable_bytes_are_written_unchanged(run: Run) -> None:
    run.prepare("import sys; sys.stdout.buffer.write(bytes(range(256)))", secrets=[SECRET])

    run.start_runner()
    await run.end()

    assert (run.dir / LOG_FILE).read_bytes() == bytes(range(256))


async def test_a_full_disk_loses_output_but_not_the_evaluation(run: Run) -> None:
    (run.dir / LOG_FILE).symlink_to("/dev/full")
    run.prepare("print('x' * 1_000_000, flush=True); raise SystemExit(7)")

    run.start_runner()

    assert (await run.end()).exit_code == 7


def _logged(folder: Path, pieces: list[str], secrets: list[str]) -> str:
    """Return the log of a harness that wrote these pieces, one after the other."""
    log = MaskedLog(folder / LOG_FILE, secrets)
    for piece in pieces:
        log.feed(piece.encode())
    log.finish()
    return (folder / LOG_FILE).read_text()


def _masked(text: bytes, cuts: tuple[bool, ...], secrets: list[bytes]) -> bytes:
    """Return the masked text, cut after the letters for which ``cuts`` is true."""
    mask, begin, masked = Mask(secrets, lambda _secret: b"*"), 0, b""
    for place, cut in enumerate(cuts, start=1):
        if cut:
            masked += mask.feed(text[begin:place])
            begin = place
    return masked + mask.feed(text[begin:]) + mask.rest()
