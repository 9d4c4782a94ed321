"""The contents of the wheel, built from the source distribution."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "migrations"
MIGRATIONS = {
    str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*.*") if path.suffix != ".pyc"
}


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The contents of a new wheel, built from the source distribution."""
    folder = tmp_path_factory.mktemp("wheel")
    command = ["-m", "build", "--no-isolation", "--outdir", str(folder)]
    built = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def files(folder: Path) -> set[str]:
    """Return the files below a folder without by-products."""
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    return {name for name in found if "__pycache__" not in name and not name.startswith(".")}


def test_the_wheel_has_every_file_of_the_package(unpacked: Path) -> None:
    migrations = {f"migrations/{name}" for name in MIGRATIONS}

    assert files(unpacked / "evalserver") == files(ROOT / "evalserver") | migrations


def test_the_wheel_has_every_migration(unpacked: Path) -> None:
    assert files(unpacked / "evalserver" / "migrations") == MIGRATIONS


def test_the_unpacked_wheel_creates_a_database(unpacked: Path, tmp_path: Path) -> None:
    program = (
        "import pathlib, evalserver; from evalserver.core.clock import utc_now;"
        " from evalserver.store.migrate import migrate;"
        " migrate(pathlib.Path('made.db'), utc_now); print(evalserver.__file__)"
    )

    made = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(unpacked)},
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert made.stdout.strip() == str(unpacked / "evalserver" / "__init__.py"), made.stderr
    assert (tmp_path / "made.db").stat().st_size
