"""Output as a terminal would show it, compared with a model that writes cell by cell."""

import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from evalserver.core.plain_text import MAX_LINE_CHARACTERS, PlainText, plain_text

BAR = "Model Responding: {percent:>3}%|####      | {percent}/100 [00:01<00:02, 20.03it/s]"

TEXTS = st.lists(
    st.sampled_from(["\r", "\n", "\r\n", " ", "a", "bcd", "é█", "日本", "😀", "50%|## |"]),
    max_size=20,
).map("".join)
OUTPUTS = st.lists(
    st.sampled_from(
        ["\x1b[", "\x1b", "[1;31m", "m", "\x1b[0m", "\x1b[2K", "\x1b]0;title", "\x07", "\x1b\\",
         "]", "\x1b(B", "\r", "\n", "é█", "ab ", "xyz"]
    ),
    max_size=20,
).map("".join)  # fmt: skip


def on_a_terminal(text: str) -> str:
    """The visible text when each character is written at the cursor position."""
    lines: list[list[str]] = [[]]
    column = 0
    for character in text:
        if character in "\r\n":
            column = 0
        if character == "\n":
            lines.append([])
        elif character != "\r":
            lines[-1][column : column + 1] = [character]
            column += 1
    return "\n".join("".join(line).rstrip(" ") for line in lines)


@given(TEXTS)
@example("longer\rsh\n")
def test_a_redrawn_line_looks_as_on_a_terminal(text: str) -> None:
    assert plain_text(text.encode()) == on_a_terminal(text)


@given(OUTPUTS, st.data())
@example("\x1b]0;t\x1b\\", None)
def test_chunk_boundaries_do_not_matter(text: str, data: st.DataObject | None) -> None:
    output = text.encode()
    plain, shown = PlainText(), b""
    while output:
        size = data.draw(st.integers(1, len(output))) if data else 1
        shown += plain.feed(output[:size])
        output = output[size:]

    assert (shown + plain.rest()).decode() == plain_text(text.encode())


@given(OUTPUTS)
def test_no_escape_sequence_or_carriage_return_remains(text: str) -> None:
    assert set("\x1b\r").isdisjoint(plain_text(text.encode()))


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        ("\x1b[32m2026-11-23\x1b[0m | \x1b[1;31mERROR\x1b[0m", "2026-11-23 | ERROR"),
        ("\x1b[2K\x1b[1A\x1b[?25lhidden cursor", "hidden cursor"),
        ("\x1b]0;a title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b(Bplain", "plain"),
        ("tab\tand bell", "tab\tand bell"),
    ],
)
def test_escape_sequences_are_removed(output: str, shown: str) -> None:
    assert plain_text(output.encode()) == shown


def test_only_the_last_state_of_a_progress_bar_remains() -> None:
    states = "".join("\r" + BAR.format(percent=percent) for percent in range(101))

    assert plain_text(f"begins\n{states}\nends\n".encode()) == (
        f"begins\n{BAR.format(percent=100)}\nends\n"
    )


def test_a_bar_that_is_redrawn_for_days_is_one_line() -> None:
    plain, shown = PlainText(), b""
    for count in range(100_000):
        shown += plain.feed(f"\rWork: {count} of 100000".encode())

    assert shown + plain.feed(b"\n") == b"Work: 99999 of 100000\n"


def test_a_line_is_emitted_as_soon_as_it_ends() -> None:
    plain = PlainText()

    assert plain.feed(b"first\nsec") == b"first\n"
    assert plain.feed(b"ond\n") == b"second\n"


def test_invalid_bytes_are_tolerated() -> None:
    assert plain_text(b"first \xff\xfe\nsecond\n").endswith("\nsecond\n")


def test_a_character_split_across_chunks_is_reassembled() -> None:
    plain = PlainText()

    assert (
        plain.feed("é".encode()[:1]) + plain.feed("é".encode()[1:]) + plain.rest() == "é".encode()
    )


@pytest.mark.parametrize(
    "piece",
    [b"x" * 2**16, b"\rx" * 2**15, b"\x1b[" * 2**15, b"\x1b]" + b"x" * 2**16, b"\xc3" * 2**16],
)
def test_an_endless_line_uses_bounded_memory(piece: bytes) -> None:
    plain = PlainText()
    tracemalloc.start()
    try:
        for _ in range(40):
            plain.feed(piece)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert kept < 20 * MAX_LINE_CHARACTERS


def test_nothing_of_an_endless_line_is_lost() -> None:
    text = "".join(f"{number}," for number in range(100_000))

    assert plain_text(text.encode()) == text
