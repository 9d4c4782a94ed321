"""``./scripts/vendor --check``: the vendored files match the table, byte for byte."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VENDORED = Path("evalserver/web/static/swagger-ui")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the script and the vendored files."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    for folder in ("evalserver/web/static", "tests/axe-core"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path


def check(folder: Path) -> tuple[int, str]:
    """Return the exit code and the output."""
    command = [sys.executable, str(folder / "scripts" / "vendor"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout + done.stderr


def test_the_vendored_files_match_the_table(copy: Path) -> None:
    assert check(copy) == (0, "")


def test_a_changed_file_is_named(copy: Path) -> None:
    with (copy / VENDORED / "swagger-ui.css").open("a") as file:
        file.write(" ")

    code, output = check(copy)

    assert code == 1
    assert "swagger-ui/swagger-ui.css is " in output


def test_an_additional_file_is_named(copy: Path) -> None:
    (copy / VENDORED / "more.js").touch()

    code, output = check(copy)

    assert code == 1
    assert "swagger-ui/more.js" in output
    assert "expected no such file" in output


def test_a_missing_file_is_named(copy: Path) -> None:
    (copy / VENDORED / "LICENSE").unlink()

    code, output = check(copy)

    assert code == 1
    assert "swagger-ui/LICENSE is missing" in output
