"""``evalserver doctor``: what it reports for engines that work and for those that do not."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from evalserver.cli.main import main
from evalserver.runner.cgroups import VARIABLE
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


def test_a_harness_without_package_metadata_works(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shutil.copytree(STAND_IN / "lmms_eval", tmp_path / "lmms_eval")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    result = doctor("lmms_eval")

    assert result.exit_code == 0
    assert f"lmms-eval of unknown version, in {tmp_path}/lmms_eval" in result.output
    assert "does not say its version" in result.output


def test_keys_are_named_per_engine_without_their_values(
    stand_in: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("JUDGE_API_KEY", "TAVILY_API_KEY", "GITHUB_TOKEN"):
        monkeypatch.setenv(name, "opensesame-1234")

    [report] = json.loads(doctor("lmms_eval", "--json").stdout)
    shown = doctor("lmms_eval").output

    assert "JUDGE_API_KEY" in report["keys"]
    assert "TAVILY_API_KEY" not in report["keys"]  # of Inspect's tools
    assert "GITHUB_TOKEN" in report["keys_not_passed"]
    assert "look like keys, and reach no harness: " in shown
    assert "opensesame-1234" not in shown


def test_profiles_are_listed_and_a_missing_secret_is_a_failure(
    stand_in: None, tmp_path: Path
) -> None:
    config = tmp_path / "lab.toml"
    config.write_text(
        '[env_profiles.azure]\nAPI_TYPE = "azure"\nroles = ["admin"]\n'
        '[env_profiles.paid]\nOPENAI_API_KEY = {file = "/no/such/file"}\n'
    )

    result = doctor("--config", str(config), "lmms_eval")

    assert result.exit_code == 1
    assert "env_profile azure: ok\n  variables API_TYPE\n  roles     admin" in result.output
    assert "env_profile paid: DOES NOT WORK" in result.output
    assert "env_profiles.paid.OPENAI_API_KEY: the file /no/such/file" in result.output


def test_the_keys_of_an_engines_default_profile_are_among_its_keys(
    stand_in: None, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text("opensesame-1234")
    config = tmp_path / "lab.toml"
    config.write_text(
        '[engines.lmms_eval]\ndefaults = {env_profile = "azure"}\n'
        f'[env_profiles.azure]\nAZURE_API_KEY = {{file = "{tmp_path / "key"}"}}\n'
        '[engines.other]\ntype = "lmms_eval"\ndefaults = {env_profile = "paid"}\n'
    )

    result = doctor("--config", str(config), "lmms_eval", "other", "--json")

    [first, second] = json.loads(result.stdout)
    assert "AZURE_API_KEY" in first["keys"]
    assert "its default env_profile 'paid' does not exist" in second["findings"][-1]["what"]


def test_a_limit_of_memory_without_effect_is_reported(
    stand_in: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "none")

    report = doctor("lmms_eval", "--memory-per-job", "1000000000").output
    [found] = json.loads(doctor("lmms_eval", "--memory-per-job", "1000000000", "--json").stdout)

    assert "memory_per_job 1000000000: HAS NO EFFECT" in report
    assert found["memory_per_job"] == {"bytes": 1000000000, "has_effect": False}
