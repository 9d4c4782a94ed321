"""Snapshots of screens: texts in ``screens/``, in which ids, times and addresses are made the same.

To renew them after a change that is meant: ``RENEW_SCREENS=1 ./scripts/test --quick tests/cli``;
then read what ``git diff tests/cli/screens`` shows.
"""

import os
import re
from pathlib import Path

SCREENS = Path(__file__).parent / "screens"

RENEW = "RENEW_SCREENS"


def assert_screen(name: str, text: str) -> None:
    """The screen must be as it was kept."""
    kept = SCREENS / f"{name}.txt"
    seen = made_the_same(text)
    if os.environ.get(RENEW):
        kept.write_text(seen, encoding="utf-8")
    assert kept.is_file(), f"there is no {kept.name} yet; make it with {RENEW}=1:\n{seen}"
    assert seen == kept.read_text(encoding="utf-8")


def made_the_same(text: str) -> str:
    """The text without what differs from one run to the next, each in its width."""
    text = re.sub(r"127\.0\.0\.1:\d{4,5}", "127.0.0.1:PORT", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.+]+", _crossed_out, text)
    text = re.sub(r"gate=\S+", "gate=FILE", text)
    text = re.sub(r"(?<![\w/.])(?=[0-9a-f-]*\d)[0-9a-f-]{5,36}(?![\w/.])", _crossed_out, text)
    text = re.sub(r"\d\d:\d\d:\d\d", _crossed_out, text)
    text = re.sub(r"\S*/data/runs/\S+", "DATA/runs/...", text)
    text = re.sub(r"[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]", "⠋", text)
    text = re.sub(r"(?<![\w.])(\d+m )?\d+s(?! left)\b *", _seconds, text)
    return "\n".join(line.rstrip() for line in text.splitlines()).rstrip() + "\n"


def _crossed_out(found: re.Match[str]) -> str:
    return re.sub(r"[0-9a-f]", "x", found[0])


def _seconds(found: re.Match[str]) -> str:
    return "Ns".ljust(len(found[0])) if found[0].endswith(" ") else "Ns"
