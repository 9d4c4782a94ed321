"""The environment variables that the sources of a harness name."""

import re
from collections.abc import Iterator
from pathlib import Path

READ = re.compile(r"(?:environ\.get\(|environ\[|getenv\()\s*[\"']([A-Za-z_][A-Za-z0-9_]*)[\"']")
KEY = re.compile(
    r"[\"']([A-Z][A-Z0-9_]*_(?:API_KEY|AUTH_TOKEN|ACCESS_KEY|SECRET_KEY|SECRET|TOKEN|PASSWORD"
    r"|BASE_URL|API_BASE|API_URL|API_TYPE|API_VERSION|ENDPOINT|ENDPOINT_URL))[\"']"
)
"""Names of this form are read through constants, too."""


def site_packages(python: Path) -> Path:
    """Where an interpreter of an environment has its packages."""
    [found] = python.parents[1].glob("lib/python*/site-packages")
    return found


def variables_read(package: Path) -> set[str]:
    """The variables that a package reads by their names."""
    return {name for text in _sources(package) for name in READ.findall(text)}


def key_names(package: Path) -> set[str]:
    """The texts in a package that look like the variable of a key or an address."""
    return {name for text in _sources(package) for name in KEY.findall(text)}


def _sources(package: Path) -> Iterator[str]:
    return (path.read_text(errors="replace") for path in package.rglob("*.py"))
