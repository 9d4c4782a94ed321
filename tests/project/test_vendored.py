"""``./scripts/vendor --check``: what is vendored is what the table says, to the byte."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VENDORED = Path("evalserver/web/static/swagger-ui")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of what the script looks at."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    for folder in ("evalserver/web/static", "tests/axe-core"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path


def check(place: Path) -> tuple[int, str]:
    """The exit code, and what was said."""
    command = [sys.executable, str(place / "scripts" / "vendor"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout + done.stderr


def test_the_vendored_files_are_those_of_the_table(copy: Path) -> None:
    assert check(copy) == (0, "")


def test_a_changed_file_is_named(copy: Path) -> None:
    with (copy / VENDORED / "swagger-ui.css").open("a") as file:
        file.write(" ")

    code, said = check(copy)

    assert code == 1
    assert "swagger-ui/swagger-ui.css is " in said


def test_a_file_that_nobody_put_into_the_table_is_named(copy: Path) -> None:
    (copy / VENDORED / "more.js").touch()

    code, said = check(copy)

    assert code == 1
    assert "swagger-ui/more.js" in said
    assert "should be not there" in said


def test_a_file_that_is_missing_is_named(copy: Path) -> None:
    (copy / VENDORED / "LICENSE").unlink()

    code, said = check(copy)

    assert code == 1
    assert "swagger-ui/LICENSE is not there" in said
