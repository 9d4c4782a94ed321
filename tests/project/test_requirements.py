"""evalserver can be installed beside the harnesses: its version ranges allow their packages."""

import configparser
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from tests.real_harness import interpreter

ROOT = Path(__file__).parents[2]


def required() -> list[Requirement]:
    """Return the package's requirements."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    return [Requirement(line) for line in config["options"]["install_requires"].split("\n") if line]


def locked(harness: str) -> dict[str, str]:
    """Return the locked versions of a harness's environment by normalized name."""
    lock = (ROOT / "requirements" / f"{harness}.txt").read_text()
    pins = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==(\S+)", lock, re.MULTILINE)
    return {_normalize(name): version for name, version in pins}


def _normalize(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("harness", ["lmms-eval", "lm-eval", "inspect"])
@pytest.mark.parametrize("requirement", required(), ids=lambda each: each.name)
def test_a_range_allows_the_version_of_a_harness(requirement: Requirement, harness: str) -> None:
    version = locked(harness).get(_normalize(requirement.name))

    assert version is None or requirement.specifier.contains(version)


@pytest.mark.parametrize("shared", ["aiohttp", "httpx", "psutil", "pyyaml"])
def test_the_lock_is_read(shared: str) -> None:
    assert shared in locked("lmms-eval")


@pytest.mark.parametrize("requirement", required(), ids=lambda each: each.name)
def test_nothing_is_pinned(requirement: Requirement) -> None:
    assert {each.operator for each in requirement.specifier} <= {">=", "<"}


@pytest.mark.real_harness("lmms-eval")
def test_installing_it_beside_lmms_eval_replaces_nothing() -> None:
    python = interpreter("lmms-eval")
    pip: list[str | Path] = [python, "-m", "pip", "--disable-pip-version-check"]

    planned = _json_of([*pip, "install", "--quiet", "--dry-run", "--report", "-", ROOT])
    present = _json_of([*pip, "list", "--format", "json"])

    new = {_normalize(each["metadata"]["name"]) for each in planned["install"]}
    assert "evalserver" in new
    assert new & {_normalize(each["name"]) for each in present} == set()


def _json_of(command: list[str | Path]) -> Any:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
