"""Snapshots of screens: text files in ``screens/`` with ids, times and addresses masked.

To update them after an intended change: ``RENEW_SCREENS=1 ./scripts/test --quick tests/cli``;
then review ``git diff tests/cli/screens``.
"""

import os
import re
from pathlib import Path

SCREENS = Path(__file__).parent / "screens"

RENEW = "RENEW_SCREENS"


def assert_screen(name: str, text: str) -> None:
    """Assert that the screen equals its snapshot."""
    kept = SCREENS / f"{name}.txt"
    seen = normalize(text)
    if os.environ.get(RENEW):
        kept.write_text(seen, encoding="utf-8")
    assert kept.is_file(), f"there is no {kept.name} yet; make it with {RENEW}=1:\n{seen}"
    assert seen == kept.read_text(encoding="utf-8")


def normalize(text: str) -> str:
    """Mask everything that differs between runs, and keep the widths."""
    text = re.sub(r"127\.0\.0\.1:\d{4,5}", "127.0.0.1:PORT", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.+]+", _mask, text)
    text = re.sub(r"gate=\S+", "gate=FILE", text)
    text = re.sub(r"(?<![\w/.])[0-9a-f]{8}(?![\w/]|\.\w)", _mask, text)  # a short id without digits
    text = re.sub(r"(?<![\w/.])(?=[0-9a-f-]*\d)[0-9a-f-]{5,36}(?![\w/]|\.\w)", _mask, text)
    text = re.sub(r"\d\d:\d\d:\d\d", _mask, text)
    text = re.sub(r"\S*/data/runs/\S+", "DATA/runs/...", text)
    text = re.sub(r"[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]", "⠋", text)
    text = re.sub(r"(?<![\w.])(\d+m )?\d+s(?! left)\b *", _mask_seconds, text)
    return "\n".join(line.rstrip() for line in text.splitlines()).rstrip() + "\n"


def _mask(found: re.Match[str]) -> str:
    return re.sub(r"[0-9a-f]", "x", found[0])


def _mask_seconds(found: re.Match[str]) -> str:
    return "Ns".ljust(len(found[0])) if found[0].endswith(" ") else "Ns"
