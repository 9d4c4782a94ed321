"""The matrix of versions: renewing some lines keeps all others."""

from pathlib import Path

from tests.compatibility.checks import CHECKS, Outcome, Status
from tests.compatibility.harnesses import Subject
from tests.compatibility.matrix import BEGIN, END, HEADS, PAGE, updated

EMPTY = f"before\n{BEGIN}\n{END}\nafter\n"


def _subject(engine: str, version: str) -> Subject:
    return Subject(engine, version, Path("python"))


def _outcomes(**changed: Outcome) -> dict[str, Outcome]:
    return {name: changed.get(name, Outcome(Status.OK)) for name in CHECKS}


def _rows(text: str) -> list[str]:
    return [" ".join(line.split("|")[1:3]) for line in text.splitlines() if line.startswith("| `")]


def test_versions_are_in_order_with_the_main_branch_last() -> None:
    versions = ("main", "0.4.10", "0.4.9.2", "0.4.9")
    measured = {_subject("lm_eval", version): _outcomes() for version in versions}

    rows = _rows(updated(EMPTY, {_subject("inspect", "0.3.1"): _outcomes(), **measured}))

    expected = ["0.4.9", "0.4.9.2", "0.4.10", "main"]
    assert [row.split()[1] for row in rows] == [*expected, "0.3.1"]


def test_a_version_that_was_checked_again_replaces_its_row_and_reasons() -> None:
    fault = _outcomes(cancel=Outcome(Status.FAILED, "it is | `failed`\nnow"))
    first = updated(EMPTY, {_subject("lm_eval", "0.4.8"): fault})

    second = updated(first, {_subject("lm_eval", "0.4.8"): _outcomes()})

    assert "* `lm_eval` 0.4.8, cancel: `it is | 'failed' now`\n" in first
    assert "cancel: " not in second
    assert _rows(second) == _rows(first)


def test_versions_that_were_not_checked_keep_their_rows_and_reasons() -> None:
    fault = _outcomes(cancel=Outcome(Status.FAILED, "slow"))
    first = updated(EMPTY, {_subject("lm_eval", "0.4.9.2"): fault})

    second = updated(first, {_subject("lm_eval", "0.4.9"): _outcomes()})

    assert len(_rows(second)) == 2
    assert "* `lm_eval` 0.4.9.2, cancel: `slow`\n" in second
    assert (second.startswith("before\n"), second.endswith("after\n")) == (True, True)


def test_the_page_has_the_columns_of_todays_checks() -> None:
    assert f"| {' | '.join(HEADS)} |" in PAGE.read_text()
