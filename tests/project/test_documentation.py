"""The documentation agrees with the code: tables, links, and the files that pages mention."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evalserver.core.lifecycle import EventKind
from evalserver.monitoring.instrument import Instrument
from evalserver.monitoring.prometheus import TABLE
from evalserver.version import __version__
from tests.reference import TABLES, rendered

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
METRICS = (ROOT / "docs" / "metrics.md").read_text()
AUDIT = (ROOT / "docs" / "audit.md").read_text()
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
PAGES = [
    "README.md",
    "SECURITY.md",
    "CONTRIBUTING.md",
    *sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("docs/**/*.md")),
]
LINK = re.compile(r"\]\(([^)#\s]+)(#[^)\s]+)?\)")
PATH = re.compile(r"`((?:[\w.-]+/)+(?:[\w-]+\.(?:py|md|sql|html|js|css|toml|txt|service))?)`")
"""A file or folder, as pages mention it: ``web/routes.py``, ``engines/``."""

BASES = (".", "evalserver")
"""Folders that mentioned paths are relative to."""

MADE_LATER = {".venvs/", "runs/", "migrations/NNNN_what_it_does.sql"}
"""Mentioned paths that are not part of a checkout."""

CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
MAX_README_LINES = 130
MAX_DECISION_LINES = 40
MAX_ARCHITECTURE_LINES = 200


@pytest.mark.parametrize("page", TABLES)
def test_generated_tables_are_up_to_date(page: str) -> None:
    assert (ROOT / "docs" / page).read_text() == rendered(page), "run ./scripts/docs"


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= MAX_README_LINES


def test_the_architecture_page_is_short() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()

    assert len(text.splitlines()) <= MAX_ARCHITECTURE_LINES


def test_the_changelog_has_this_version_below_unreleased() -> None:
    unreleased, newest, *_ = re.findall(r"^## (.+)$", CHANGELOG, re.MULTILINE)

    assert unreleased == "[Unreleased]"
    assert re.fullmatch(rf"\[{re.escape(__version__)}\] - \d{{4}}-\d\d-\d\d", newest)


@pytest.mark.parametrize("page", DECISIONS, ids=lambda path: path.name)
def test_a_decision_is_one_page_with_three_parts(page: Path) -> None:
    lines = page.read_text().splitlines()

    assert lines[0].startswith(f"# {int(page.name[:4])}. ")
    assert [line for line in lines if line.startswith("## ")] == [
        "## Context",
        "## Decision",
        "## Consequences",
    ]
    assert len(lines) <= MAX_DECISION_LINES


def test_decisions_are_numbered_without_gaps_and_listed() -> None:
    index = (ROOT / "docs" / "decisions" / "README.md").read_text()
    rows = re.findall(r"^\| \[(\d+)\]\((.+?)\) \| (.+) \|$", index, re.MULTILINE)

    assert rows == [
        (str(number), path.name, path.read_text().splitlines()[0].partition(". ")[2])
        for number, path in enumerate(DECISIONS, 1)
    ]


@pytest.mark.parametrize("page", PAGES)
def test_every_link_to_a_file_has_a_target(page: str) -> None:
    text = (ROOT / page).read_text()
    targets = [target for target, _ in LINK.findall(text) if "://" not in target]

    missing = [each for each in targets if not ((ROOT / page).parent / each).exists()]

    assert not missing


@pytest.mark.parametrize("page", PAGES)
def test_every_link_to_a_heading_has_a_target(page: str) -> None:
    text = (ROOT / page).read_text()
    targets = [(target, at) for target, at in LINK.findall(text) if at and target.endswith(".md")]

    missing = [
        f"{target}{at}"
        for target, at in targets
        if at.removeprefix("#") not in _anchors(((ROOT / page).parent / target).read_text())
    ]

    assert not missing


@pytest.mark.parametrize("event", list(EventKind))
def test_every_event_is_in_the_audit_guide(event: EventKind) -> None:
    assert f"`{event}`" in AUDIT


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_every_instrument_is_in_the_table_of_metrics(row: Instrument[Any]) -> None:
    kind = row.kind.__name__.lower()
    name = f"{row.name}_info" if kind == "info" else row.name
    labels = ", ".join(f"`{label}`" for label in row.labels) or "-"

    assert f"| `{name}` | {kind} | {labels} | {row.description} |" in METRICS


@pytest.mark.parametrize("page", PAGES)
def test_every_mentioned_file_and_folder_exists(page: str) -> None:
    assert list(missing_paths((ROOT / page).read_text())) == []


def test_every_package_is_in_the_architecture() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    packages = {path.parent.name for path in ROOT.glob("evalserver/*/__init__.py")}

    assert {name for name in packages if f"\n| `{name}/` | " not in text} == set()


def test_a_path_that_does_not_exist_is_found() -> None:
    text = "`web/routes.py`, `tests/web/`, `web/gone.py`, `no_such_folder/`, `GET /jobs/`"

    assert list(missing_paths(text)) == ["web/gone.py", "no_such_folder/"]


def missing_paths(text: str) -> Iterator[str]:
    """Yield the paths that a page mentions and that do not exist."""
    for path in PATH.findall(text):
        if path not in MADE_LATER and not any((ROOT / base / path).exists() for base in BASES):
            yield path


def _anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub generates them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}
