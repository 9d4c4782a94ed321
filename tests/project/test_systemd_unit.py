"""The systemd unit that docs/operating.md describes."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "scripts" / "evalserver.service"
GUIDE = (ROOT / "docs" / "operating.md").read_text()
SYSTEMD_ANALYZE = shutil.which("systemd-analyze")
EXPLAINED = re.findall(r"^\* `(\w+=\w+)`", GUIDE, re.MULTILINE)
"""The lines of the unit that the guide explains."""


def verify(folder: Path, unit: str) -> str:
    """Return what ``systemd-analyze verify`` reports, with a program in place that exists here."""
    file = folder / UNIT.name
    file.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", unit, flags=re.MULTILINE))
    assert SYSTEMD_ANALYZE is not None
    done = subprocess.run(
        [SYSTEMD_ANALYZE, "verify", file], capture_output=True, text=True, check=False, timeout=300
    )
    return done.stdout + done.stderr + ("" if done.returncode == 0 else f"exit {done.returncode}")


@pytest.mark.skipif(SYSTEMD_ANALYZE is None, reason="systemd-analyze is not installed here")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    assert verify(tmp_path, UNIT.read_text()) == ""


@pytest.mark.skipif(SYSTEMD_ANALYZE is None, reason="systemd-analyze is not installed here")
def test_systemd_reports_a_misspelled_key(tmp_path: Path) -> None:
    assert "KilMode" in verify(tmp_path, UNIT.read_text().replace("KillMode", "KilMode"))


def test_the_guide_links_the_unit() -> None:
    assert f"](../scripts/{UNIT.name})" in GUIDE


@pytest.mark.parametrize("line", EXPLAINED)
def test_an_explained_line_is_in_the_unit(line: str) -> None:
    assert line in UNIT.read_text().splitlines()


def test_the_guide_explains_lines_of_the_unit() -> None:
    assert len(EXPLAINED) >= 3
