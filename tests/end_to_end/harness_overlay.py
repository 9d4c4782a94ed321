"""An environment of its own over that of a real harness, which tests may change.

Two packages are installed into it by pip, one of them editable. Both are imported at the start of
every interpreter, and so by warm parents, too.
"""

import subprocess
from pathlib import Path

from tests.real_harness import interpreter

INSTALLED = "lab_installed"
EDITABLE = "lab_editable"

BACKEND = """
import zipfile
from pathlib import Path

NAME, VERSION = {name!r}, {version!r}
METADATA = f"Metadata-Version: 2.1\\nName: {{NAME}}\\nVersion: {{VERSION}}\\n"
WHEEL = "Wheel-Version: 1.0\\nGenerator: lab\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"


def build_wheel(directory, config_settings=None, metadata_directory=None):
    return _write(directory, NAME + ".py", Path(NAME + ".py").read_text())


def build_editable(directory, config_settings=None, metadata_directory=None):
    return _write(directory, NAME + ".pth", str(Path.cwd()))


def _write(directory, name, text):
    info = f"{{NAME}}-{{VERSION}}.dist-info"
    members = {{name: text, f"{{info}}/METADATA": METADATA, f"{{info}}/WHEEL": WHEEL}}
    record = "".join(f"{{each}},,\\n" for each in (*members, f"{{info}}/RECORD"))
    wheel = f"{{NAME}}-{{VERSION}}-py3-none-any.whl"
    with zipfile.ZipFile(Path(directory, wheel), "w") as archive:
        for each, content in {{**members, f"{{info}}/RECORD": record}}.items():
            archive.writestr(each, content)
    return wheel
"""
PROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'


class HarnessOverlay:
    """An environment with everything of a harness's, and these two packages of version 1."""

    def __init__(self, harness: str, place: Path) -> None:
        self._place = place
        environment = place / "environment"
        self.python = environment / "bin" / "python"
        self._pip = [str(interpreter(harness)), "-m", "pip", "--python", str(self.python)]
        create = [str(interpreter(harness)), "-m", "venv", "--without-pip", str(environment)]
        subprocess.run(create, check=True)
        [packages] = environment.glob("lib/python*/site-packages")
        [below] = interpreter(harness).parents[1].glob("lib/python*/site-packages")
        (packages / "below.pth").write_text(f"import site; site.addsitedir({str(below)!r})\n")
        self.upgrade(1)
        self._install("-e", str(self._project(EDITABLE, 1)))
        (packages / "zz_lab.pth").write_text(f"import {INSTALLED}, {EDITABLE}\n")

    def upgrade(self, version: int) -> None:
        """Install this version of the one package."""
        self._install(str(self._project(INSTALLED, version)))

    def edit_checkout(self, value: int) -> None:
        """Edit the module of the package that is installed as editable."""
        (self._place / EDITABLE / f"{EDITABLE}.py").write_text(f"VALUE = {value}\n")

    def _project(self, name: str, version: int) -> Path:
        folder = self._place / name
        folder.mkdir(exist_ok=True)
        (folder / "pyproject.toml").write_text(PROJECT)
        (folder / "backend.py").write_text(BACKEND.format(name=name, version=str(version)))
        (folder / f"{name}.py").write_text(f"VALUE = {version}\n")
        return folder

    def _install(self, *what: str) -> None:
        options = ("--quiet", "--no-index", "--no-build-isolation", "--no-deps", "--no-input")
        command = [*self._pip, "install", *options, *what]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
