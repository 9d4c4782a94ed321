"""``.ci/run`` runs the scripts in the environment of a bare machine."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

CI_RUN = Path(__file__).parents[2] / ".ci" / "run"
SCRIPT = """#!/bin/sh
env > "$(basename "$0").environment"
ls -A "$HOME" > "$(basename "$0").home"
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose scripts record their environment."""
    for folder in (".ci", "scripts", "home/.config/pip"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(CI_RUN, tmp_path / ".ci" / "run")
    for name in ("check", "test"):
        (tmp_path / "scripts" / name).write_text(SCRIPT)
        (tmp_path / "scripts" / name).chmod(0o755)
    return tmp_path


def environments(checkout: Path, **variables: str) -> list[dict[str, str]]:
    """Return the environments of both scripts on a machine that sets these variables."""
    home = str(checkout / "home")
    mine = {"PATH": f"/opt/tools:{os.environ['PATH']}", "HOME": home, **variables}
    subprocess.run([checkout / ".ci" / "run"], env=mine, check=True)
    return [_environment(checkout / f"{name}.environment") for name in ("check", "test")]


def _environment(path: Path) -> dict[str, str]:
    given = dict(line.split("=", 1) for line in path.read_text().splitlines())
    # Set by the script's shell.
    return {name: value for name, value in given.items() if name not in ("PWD", "_", "SHLVL")}


def test_the_scripts_have_debians_programs_an_empty_home_and_no_other_variables(
    checkout: Path,
) -> None:
    given = environments(checkout, EDITOR="vi", VIRTUAL_ENV="/opt/other", LANG="de_DE.UTF-8")

    assert [each.pop("HOME") != str(checkout / "home") for each in given] == [True, True]
    assert given == [{"PATH": "/usr/local/bin:/usr/bin:/bin"}] * 2
    assert [(checkout / f"{name}.home").read_text() for name in ("check", "test")] == ["", ""]


@pytest.mark.parametrize(
    "name", ["PIP_INDEX_URL", "https_proxy", "NO_PROXY", "SSL_CERT_FILE", "CI", "OPENBLAS_CORETYPE"]
)
def test_variables_for_the_package_index_and_ci_are_passed_on(checkout: Path, name: str) -> None:
    given = environments(checkout, **{name: "as the machine says"})

    assert [each[name] for each in given] == ["as the machine says"] * 2


def test_pip_finds_its_configuration_in_the_original_home(checkout: Path) -> None:
    config = checkout / "home" / ".config" / "pip" / "pip.conf"
    config.touch()

    given = environments(checkout)

    assert [each["PIP_CONFIG_FILE"] for each in given] == [str(config)] * 2


def test_a_script_that_fails_fails_the_run(checkout: Path) -> None:
    (checkout / "scripts" / "check").write_text("#!/bin/sh\nexit 3\n")

    with pytest.raises(subprocess.CalledProcessError):
        environments(checkout)

    assert not (checkout / "test.environment").exists()
