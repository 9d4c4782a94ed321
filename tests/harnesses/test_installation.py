"""Harnesses without package metadata, on ``PYTHONPATH``, or installed editable."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from evalserver.engines import make_engines
from evalserver.engines.in_harness import installation
from tests.support import STAND_IN

ENGINE = make_engines(sys.executable, None, {})["lmms_eval"]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The stand-in harness in a directory of its own, without metadata."""
    shutil.copytree(STAND_IN / "lmms_eval", tmp_path / "tree" / "lmms_eval")
    return tmp_path / "tree"


def run(argv: tuple[str, ...], *path: Path) -> str:
    """Return what a command prints when these directories are on ``PYTHONPATH``."""
    paths = os.pathsep.join(map(str, path))
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": ""}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def probe(*path: Path) -> Any:
    """Return what is recorded of the harness."""
    return json.loads(run(ENGINE.probe_argv(), *path))


def state(*path: Path) -> str:
    """Return what the lists of tasks and models depend on."""
    return run(ENGINE.version_argv(), *path)


def git(folder: Path, *arguments: str) -> str:
    """Run git as somebody."""
    person = ("-c", "user.name=a", "-c", "user.email=a@lab.example")
    argv = ("git", "-C", str(folder), *person, *arguments)
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def install_editable(site: Path, project: Path) -> None:
    """Write the metadata that pip writes for an editable installation."""
    metadata = site / "lmms_eval-0.6.1.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Name: lmms-eval\nVersion: 0.6.1\n")
    origin = {"url": project.as_uri(), "dir_info": {"editable": True}}
    (metadata / "direct_url.json").write_text(json.dumps(origin))


def test_a_harness_without_metadata_is_found_and_fingerprinted(tree: Path) -> None:
    found = probe(tree)

    assert found["location"] == str(tree / "lmms_eval")
    assert (found["version"], found["commit"], len(found["tree"])) == (None, None, 64)
    assert state(tree).split()[0] == "unknown"


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("lmms_eval/__init__.py", '__version__ = "0.7.9"\n'),
        ("lmms_eval/version.py", "__version__: str = '0.7.9'\n"),
        ("pyproject.toml", '[project]\nname = "lmms_eval"\nversion = "0.7.9"\n'),
    ],
)
def test_the_version_is_read_from_the_files(tree: Path, file: str, text: str) -> None:
    (tree / file).write_text(text)

    assert probe(tree)["version"] == "0.7.9"
    assert state(tree).split()[0] == "0.7.9"


def test_files_that_hide_an_installed_version_are_not_reported_as_that_version(tree: Path) -> None:
    found = probe(tree, STAND_IN)

    assert (found["location"], found["version"]) == (str(tree / "lmms_eval"), None)
    assert found["tree"] is not None


def test_an_installed_harness_has_its_version_and_no_tree() -> None:
    found = probe(STAND_IN)

    assert (found["version"], found["tree"]) == ("0.0.0", None)


def test_a_changed_file_of_an_installed_harness_changes_what_its_lists_depend_on(
    tmp_path: Path,
) -> None:
    shutil.copytree(STAND_IN, tmp_path / "site")
    before = state(tmp_path / "site")
    (tmp_path / "site" / "lmms_eval" / "new_task.py").write_text("# another task\n")

    after = state(tmp_path / "site")

    assert after.split()[0] == before.split()[0] == "0.0.0"
    assert after != before


def test_an_editable_installation_has_version_and_tree(tree: Path, tmp_path: Path) -> None:
    install_editable(tmp_path / "site", tree)

    found = probe(tmp_path / "site", tree)

    assert (found["version"], len(found["tree"])) == ("0.6.1", 64)


def test_a_checkout_with_the_metadata_of_a_build_has_version_and_tree(tree: Path) -> None:
    (tree / "lmms_eval.egg-info").mkdir()
    (tree / "lmms_eval.egg-info" / "PKG-INFO").write_text("Name: lmms-eval\nVersion: 0.6.1\n")

    found = probe(tree)

    assert (found["version"], len(found["tree"] or "")) == ("0.6.1", 64)


def test_a_checkout_has_its_commit_and_a_changed_one_is_dirty(tree: Path) -> None:
    git(tree, "init", "--quiet")
    git(tree, "add", ".")
    git(tree, "commit", "--quiet", "--message", "all")
    clean = probe(tree)
    (tree / "lmms_eval" / "tasks.py").write_text("")
    dirty = probe(tree)

    assert clean["commit"] == git(tree, "rev-parse", "HEAD").strip()
    assert dirty["commit"] == f"{clean['commit']}-dirty"
    assert clean["tree"] != dirty["tree"]


def test_an_editable_installation_that_was_built_has_the_commit_of_its_project(
    tree: Path, tmp_path: Path
) -> None:
    git(tree, "init", "--quiet")
    (tree / ".gitignore").write_text("build\n")
    git(tree, "add", ".")
    git(tree, "commit", "--quiet", "--message", "all")
    built = tree / "build" / "lmms_eval"  # as setuptools makes it in its strict mode
    built.mkdir(parents=True)
    for path in (tree / "lmms_eval").glob("*.py"):
        (built / path.name).symlink_to(path)
    install_editable(tmp_path / "site", tree)

    found = probe(tmp_path / "site", built.parent)

    assert found["location"] == str(built)
    assert found["commit"] == git(tree, "rev-parse", "HEAD").strip()


def test_the_commit_of_a_repository_that_only_lies_around_it_is_not_reported(tree: Path) -> None:
    git(tree.parent, "init", "--quiet")
    git(tree.parent, "commit", "--quiet", "--allow-empty", "--message", "other")

    assert probe(tree)["commit"] is None


def test_the_fingerprint_is_that_of_names_and_contents(tree: Path) -> None:
    before = probe(tree)["tree"]
    os.utime(tree / "lmms_eval" / "tasks.py", (1, 1))
    touched = probe(tree)["tree"]
    with (tree / "lmms_eval" / "prompt.txt").open("w") as file:
        file.write("Answer briefly.")

    assert before == touched
    assert before != probe(tree)["tree"]


def test_a_tree_that_takes_too_long_to_read_is_fingerprinted_by_sizes_and_times(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installation, "MAX_SECONDS", -1.0)

    assert installation.fingerprint(tree).startswith("stat-")


@pytest.mark.parametrize("name", ["tasks.py", "new_task.yaml", "deep/er/task.yml"])
def test_the_state_changes_with_a_file_that_defines_tasks(tree: Path, name: str) -> None:
    before = state(tree)
    path = tree / "lmms_eval" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x = 1\n")

    assert state(tree) != before


def test_the_state_does_not_change_by_running_the_harness(tree: Path) -> None:
    before = state(tree)
    run((sys.executable, "-c", "import lmms_eval.tasks, lmms_eval.models"), tree)

    assert (tree / "lmms_eval" / "__pycache__").is_dir()
    assert state(tree) == before


def test_the_state_changes_with_a_plug_in_of_lmms_eval(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = tmp_path / "plugins" / "lab_tasks"
    plugin.mkdir(parents=True)
    monkeypatch.setenv("LMMS_EVAL_PLUGINS", "lab_tasks")
    before = state(tree, plugin.parent)
    (plugin / "task.yaml").write_text("task: a\n")

    assert state(tree, plugin.parent) != before


def test_a_missing_harness_is_named(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as raised:
        state(tmp_path)

    assert "lmms-eval is not installed" in raised.value.stderr
