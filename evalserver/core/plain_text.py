"""A harness's output as a terminal would leave it: no escape sequences, and of each line that was
redrawn after a carriage return only what shows in the end.

Works on a stream that comes in pieces, in bounded memory whatever comes.
"""

import codecs
import re

LONGEST_LINE = 64 * 1024
"""Characters of a line that are held back until its end is known; a longer one comes in parts."""
LONGEST_ESCAPE = 256

_ESCAPE = re.compile(
    r"\x1b(?:\[[0-?]{0,64}[ -/]{0,8}[@-~]"  # colours, movements of the cursor
    r"|\][^\x07\x1b\r\n]{0,256}(?:\x07|\x1b\\)"  # titles, links
    r"|[()][0-9A-B]"  # character sets
    r"|[^\[\]()\r\n\x1b])?"
)
_CUT_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|\][^\x07\x1b\r\n]*\x1b?|[()])?\Z")


class PlainText:
    """Makes plain text of a stream of output."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._line = ""
        self._cut = ""

    def feed(self, piece: bytes) -> bytes:
        """The lines that ended with this piece, as UTF-8."""
        return self._take(self._decoder.decode(piece)).encode()

    def rest(self) -> bytes:
        """What is left when nothing comes any more: a line that did not end."""
        text = self._take(self._decoder.decode(b"", final=True))
        return (text + _shown(f"{self._line}\n")[:-1]).encode()

    def _take(self, text: str) -> str:
        text = self._cut + text
        whole = _end_without_cut_escape(text)
        self._cut = text[whole:]
        clean = self._line + without_escapes(text[:whole])
        end = clean.rfind("\n") + 1
        lines, self._line = _shown(clean[:end]), _shortened(clean[end:])
        if len(self._line) <= LONGEST_LINE:
            return lines
        # What has scrolled by on a terminal is not overwritten either.
        long_line, self._line = _overwritten(self._line.split("\r")), ""
        return lines + long_line


def plain_text(output: bytes) -> str:
    """The whole of a short output as plain text."""
    plain = PlainText()
    return (plain.feed(output) + plain.rest()).decode()


def without_escapes(text: str) -> str:
    """The text without its escape sequences."""
    return _ESCAPE.sub("", text) if "\x1b" in text else text


def _shown(lines: str) -> str:
    """What shows of whole lines. Bars are padded with spaces, so as to cover longer ones."""
    if "\r" not in lines and " \n" not in lines:
        return lines
    texts = (_overwritten(line.split("\r")).rstrip(" ") for line in lines.split("\n"))
    return "\n".join(texts)


def _shortened(line: str) -> str:
    """The beginning of a line, with all that was overwritten in it left out."""
    *earlier, current = line.split("\r")
    return f"{_overwritten(earlier)}\r{current}" if earlier else current


def _overwritten(texts: list[str]) -> str:
    """What shows when each text is written over those before it."""
    shown = ""
    for text in reversed(texts):
        # A shorter text leaves the end of a longer one before it.
        shown += text[len(shown) :]
    return shown


def _end_without_cut_escape(text: str) -> int:
    """Where the end of the text may be the beginning of an escape sequence; else its length."""
    cut = _CUT_ESCAPE.search(text, max(0, len(text) - LONGEST_ESCAPE))
    return len(text) if cut is None else cut.start()
