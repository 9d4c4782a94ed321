"""``evalserver doctor``: what it reports for engines that work and for those that do not."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from evalserver.cli.main import main
from tests.real_harness import interpreter
from tests.support import STAND_IN


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the stand-in, version 0.0.0, the harness of this interpreter."""
    monkeypatch.setenv("PYTHONPATH", str(STAND_IN))


def doctor(*arguments: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(main, ["doctor", *arguments])


def test_a_working_engine_is_shown_with_version_and_tasks(stand_in: None) -> None:
    result = doctor("lmms_eval", "--json")

    [report] = json.loads(result.stdout)
    assert result.exit_code == 0
    assert (report["works"], report["version"], report["tasks"]) == (True, "0.0.0", 2)


def test_a_different_harness_version_is_reported(stand_in: None) -> None:
    assert "was written against 0.7.3" in doctor("lmms_eval").output


def test_a_missing_harness_is_reported_with_its_install_command() -> None:
    result = doctor("inspect")

    assert result.exit_code == 1
    assert "inspect-ai is not installed in" in result.output
    assert "-m pip install inspect-ai==" in result.output


def test_an_engine_that_is_not_configured_is_not_a_failure(stand_in: None) -> None:
    result = doctor()

    assert result.exit_code == 0
    assert "inspect: not set up" in result.output


def test_an_invalid_table_is_reported_along_with_working_engines(
    stand_in: None, tmp_path: Path
) -> None:
    config = tmp_path / "lab.toml"
    config.write_text('[engines.broken]\ntype = "lm_evil"\n')

    result = doctor("--config", str(config))

    assert result.exit_code == 1
    assert "lmms_eval: ok" in result.output
    assert "Did you mean 'lm_eval'" in result.output


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    config = tmp_path / "lab.toml"
    config.write_text('[engines.own]\ntype = "command"\nargv = ["/no/such/program"]\n')

    result = doctor("--config", str(config), "own")

    assert result.exit_code == 1
    assert "/no/such/program is not a program that can be run" in result.output


def test_an_unknown_engine_is_rejected_with_the_known_ones() -> None:
    result = doctor("helm")

    assert result.exit_code == 2
    assert "known: lmms_eval, lm_eval, inspect" in result.output


@pytest.mark.real_harness("inspect")
def test_the_real_inspect_works() -> None:
    result = doctor("inspect", "--engine-python", str(interpreter("inspect")), "--json")

    [report] = json.loads(result.stdout)
    assert report["works"], report["findings"]
    assert report["models"] > 10


def test_an_interpreter_that_can_merge_is_reported(stand_in: None) -> None:
    result = doctor("merge")

    assert result.exit_code == 0
    assert "merge: ok" in result.output


def test_an_interpreter_whose_merger_lacks_a_dependency_cannot_merge(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shutil.copytree(STAND_IN, tmp_path / "stand-in")
    merger = tmp_path / "stand-in" / "lmms_engine" / "merger" / "__init__.py"
    merger.write_text("import deepspeed_of_nowhere\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "stand-in"))

    result = doctor("merge")

    assert result.exit_code == 1
    assert "No module named 'deepspeed_of_nowhere'" in result.output
