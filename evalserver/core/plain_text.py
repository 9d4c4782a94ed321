"""Turning terminal output into plain text: without escape sequences, and of each line that was
redrawn after a carriage return only the final state.

Works on a stream of chunks in bounded memory.
"""

import codecs
import re

MAX_LINE_CHARACTERS = 64 * 1024
"""Characters of a line that are buffered until its end is known; a longer line is split."""
MAX_ESCAPE_CHARACTERS = 256

_ESCAPE = re.compile(
    r"\x1b(?:\[[0-?]{0,64}[ -/]{0,8}[@-~]"  # colours, movements of the cursor
    r"|\][^\x07\x1b\r\n]{0,256}(?:\x07|\x1b\\)"  # titles, links
    r"|[()][0-9A-B]"  # character sets
    r"|[^\[\]()\r\n\x1b])?"
)
_CUT_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|\][^\x07\x1b\r\n]*\x1b?|[()])?\Z")


class PlainText:
    """Converts a stream of terminal output to plain text."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._line = ""
        self._cut = ""

    def feed(self, piece: bytes) -> bytes:
        """Return the lines that this chunk completes, as UTF-8."""
        return self._take(self._decoder.decode(piece)).encode()

    def rest(self) -> bytes:
        """Return the last line at the end of the stream, if it has no line break."""
        text = self._take(self._decoder.decode(b"", final=True))
        return (text + _visible(f"{self._line}\n")[:-1]).encode()

    def _take(self, text: str) -> str:
        text = self._cut + text
        whole = _end_without_cut_escape(text)
        self._cut = text[whole:]
        clean = self._line + without_escapes(text[:whole])
        end = clean.rfind("\n") + 1
        lines, self._line = _visible(clean[:end]), _drop_overwritten(clean[end:])
        if len(self._line) <= MAX_LINE_CHARACTERS:
            return lines
        # On a terminal, too, text that has scrolled away is not overwritten.
        long_line, self._line = _overlay(self._line.split("\r")), ""
        return lines + long_line


def plain_text(output: bytes) -> str:
    """Convert a complete, short output to plain text."""
    plain = PlainText()
    return (plain.feed(output) + plain.rest()).decode()


def without_escapes(text: str) -> str:
    """Remove the escape sequences from a text."""
    return _ESCAPE.sub("", text) if "\x1b" in text else text


def _visible(lines: str) -> str:
    """What is visible of complete lines, without the spaces that progress bars are padded with."""
    if "\r" not in lines and " \n" not in lines:
        return lines
    texts = (_overlay(line.split("\r")).rstrip(" ") for line in lines.split("\n"))
    return "\n".join(texts)


def _drop_overwritten(line: str) -> str:
    """Drop what was overwritten in the beginning of a line."""
    *earlier, current = line.split("\r")
    return f"{_overlay(earlier)}\r{current}" if earlier else current


def _overlay(texts: list[str]) -> str:
    """What is visible when each text is written over the previous ones."""
    shown = ""
    for text in reversed(texts):
        # A shorter text leaves the end of a longer one before it.
        shown += text[len(shown) :]
    return shown


def _end_without_cut_escape(text: str) -> int:
    """The position of an incomplete escape sequence at the end, or else the text's length."""
    cut = _CUT_ESCAPE.search(text, max(0, len(text) - MAX_ESCAPE_CHARACTERS))
    return len(text) if cut is None else cut.start()
