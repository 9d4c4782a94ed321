"""What the documentation claims is there, and what is there is documented."""

import re
from pathlib import Path
from typing import Any

import pytest

from evalserver.core.lifecycle import EventKind
from evalserver.monitoring.prometheus import TABLE, Instrument
from tests.reference import TABLES, rendered

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
METRICS = (ROOT / "docs" / "metrics.md").read_text()
AUDIT = (ROOT / "docs" / "audit.md").read_text()
PAGES = [
    "README.md",
    "SECURITY.md",
    *sorted(f"docs/{path.name}" for path in ROOT.glob("docs/*.md")),
]
LINK = re.compile(r"\]\(([^)#\s]+)(#[^)\s]+)?\)")


@pytest.mark.parametrize("page", TABLES)
def test_a_reference_page_has_what_the_code_has(page: str) -> None:
    assert (ROOT / "docs" / page).read_text() == rendered(page), "run ./scripts/docs"


def test_the_readme_is_a_page_and_a_half() -> None:
    assert len(README.splitlines()) <= 130


@pytest.mark.parametrize("page", PAGES)
def test_every_link_to_a_file_leads_somewhere(page: str) -> None:
    text = (ROOT / page).read_text()
    targets = [target for target, _ in LINK.findall(text) if "://" not in target]

    missing = [each for each in targets if not ((ROOT / page).parent / each).exists()]

    assert not missing


@pytest.mark.parametrize("page", PAGES)
def test_every_link_to_a_heading_leads_to_one(page: str) -> None:
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

    assert f"| `{name}` | {kind} | {labels} | {row.meaning} |" in METRICS


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_a_page_names_is_there(page: str) -> None:
    named = {word.strip("`.,:;()") for word in (ROOT / page).read_text().split() if "`" in word}
    paths = {name for name in named if name.endswith(".py") and "/" in name}

    missing = [
        name
        for name in paths
        if not any((ROOT / at / name).is_file() for at in (".", "evalserver"))
    ]

    assert not missing


def _anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}
