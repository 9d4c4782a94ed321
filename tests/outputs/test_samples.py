"""Pages of a samples file: bounded in what they read, whatever is in it."""

import json
from pathlib import Path
from typing import Any

import pytest

from evalserver.engines import Verdict, make_engines
from evalserver.outputs import (
    NoSuchPlace,
    NotJudged,
    Page,
    Place,
    Wanted,
    choose_metric,
    read_page,
)
from evalserver.outputs.sample_lines import LONGEST_LINE, MOST_PARSED_BYTES, MOST_READ_BYTES

DATA = Path(__file__).parents[1] / "engines" / "data"
ENGINE = make_engines("python3", None)["lm_eval"]
START = Place()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the test's samples are."""
    return tmp_path / "samples.jsonl"


def write(file: Path, *samples: dict[str, Any]) -> None:
    """Write samples as a harness does."""
    file.write_text("".join(f"{json.dumps(sample)}\n" for sample in samples))


def judged(*values: object) -> list[dict[str, Any]]:
    """Samples with these values of ``acc``."""
    return [{"doc_id": index, "acc": value} for index, value in enumerate(values)]


def page(path: Path, limit: int = 500, start: Place = START, **wanted: Any) -> Page:
    """A page of the file."""
    with path.open("rb") as file:
        return read_page(file, ENGINE, Wanted(limit, **wanted), start)


def pages(path: Path, limit: int = 500, **wanted: Any) -> list[Page]:
    """All pages, one after another."""
    found = [page(path, limit, **wanted)]
    while (start := found[-1].next) is not None:
        found.append(page(path, limit, start, **wanted))
    return found


def indexes(*pages: Page) -> list[int]:
    """The numbers of the lines that are in the pages."""
    return [sample.line.index for each in pages for sample in each.samples]


def choose(path: Path, *metrics: str, asked: str | None = None) -> str | None:
    """The metric that is chosen."""
    with path.open("rb") as file:
        return choose_metric(file, ENGINE, metrics, asked)


def test_a_real_file_is_read_as_it_is() -> None:
    [path] = DATA.glob("lm_chat/*/samples_*.jsonl")

    texts = [sample.line.text for sample in page(path).samples]

    assert texts == path.read_bytes().splitlines()


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 10, 11])
def test_pages_have_each_sample_once_and_in_order(file: Path, limit: int) -> None:
    write(file, *judged(*range(10)))

    assert indexes(*pages(file, limit)) == list(range(10))


@pytest.mark.parametrize("limit", [5, 10])
def test_no_page_follows_the_last_sample(file: Path, limit: int) -> None:
    write(file, *judged(*range(10)))

    assert len(pages(file, limit)) == 10 // limit


def test_an_empty_file_has_one_empty_page(file: Path) -> None:
    file.touch()

    assert pages(file) == [Page([], 0, None)]


def test_the_last_line_needs_no_end(file: Path) -> None:
    file.write_text('{"doc_id": 0}\n{"doc_id": 1}')

    assert indexes(*pages(file)) == [0, 1]


def test_blank_lines_are_counted_and_not_shown(file: Path) -> None:
    file.write_text('{"doc_id": 0}\n\n  \n{"doc_id": 1}\n')

    assert indexes(*pages(file)) == [0, 3]


def test_only_what_is_right(file: Path) -> None:
    write(file, *judged(1.0, 0.0, 1, 0))

    assert indexes(page(file, metric="acc", only=Verdict.RIGHT)) == [0, 2]


def test_only_what_is_wrong_page_by_page(file: Path) -> None:
    write(file, *judged(1.0, 0.0, 1, 0, 0))

    found = pages(file, limit=2, metric="acc", only=Verdict.WRONG)

    assert [indexes(each) for each in found] == [[1, 3], [4]]


def test_what_cannot_be_said_to_be_right_or_wrong_is_counted(file: Path) -> None:
    write(file, *judged(1.0, 0.5, None))
    with file.open("a") as more:
        more.write("no JSON\n")

    found = page(file, metric="acc", only=Verdict.RIGHT)

    assert (indexes(found), found.undecided) == ([0], 3)


def test_each_sample_says_whether_it_is_right(file: Path) -> None:
    write(file, *judged(1.0, 0.0, 0.5, None))

    found = page(file, metric="acc")

    assert [sample.right for sample in found.samples] == [True, False, None, None]


def test_only_what_was_judged_behind_one_filter(file: Path) -> None:
    write(file, {"filter": "a"}, {"filter": "b"}, {"filter": "a"})

    assert indexes(page(file, filter="a")) == [0, 2]


def test_where_no_filter_is_written_down_nobody_can_say(file: Path) -> None:
    write(file, *judged(1, 0))

    found = page(file, filter="a")

    assert (indexes(found), found.undecided) == ([], 2)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b'{"doc_id": 7, "acc"', "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
        (b'"text"', "not a JSON object"),
        (b"[" * 5_000, "cannot be read"),
        (b'{"a": ' * 5_000, "cannot be read"),
        (b'{"n": ' + b"9" * 10_000 + b"x}", "cannot be read"),
        (b'{"acc": NaN, "a": "\\ud800"}', "cannot be read"),
        (b'{"a": [' + b"1," * 50_001 + b"1]}", "too many values"),
        (b'{"a": [' + b"[]," * 5_000 + b"1]}", "too many values"),
        (b'{"a": [' + b"{}," * 5_000 + b"1]}", "too many values"),
    ],
)
def test_a_line_that_cannot_be_shown_says_why_and_stops_nothing(
    file: Path, line: bytes, says: str
) -> None:
    file.write_bytes(b'{"doc_id": 0}\n' + line + b'\n{"doc_id": 2}\n')

    first, second, third = page(file).samples

    assert (first.line.doc_id, third.line.doc_id) == (0, 2)
    assert second.line.text is None
    assert says in (second.line.problem or "")


def test_what_is_not_a_number_becomes_null(file: Path) -> None:
    file.write_text('{"doc_id": 0, "ppl": NaN, "ll": -Infinity}\n')

    [sample] = page(file).samples

    assert sample.line.text == b'{"doc_id":0,"ppl":null,"ll":null}'


def test_a_huge_line_is_told_of_with_its_document_and_where_it_is(file: Path) -> None:
    file.write_bytes(b'{"doc_id": 0}\n{"doc_id": 1, "image": "' + b"x" * 2 * LONGEST_LINE + b'"}\n')

    _, sample = page(file).samples

    assert (sample.line.index, sample.line.doc_id, sample.line.text) == (1, 1, None)
    assert "begins at byte 14 of its file" in (sample.line.problem or "")


def test_behind_a_huge_line_it_goes_on(file: Path) -> None:
    huge = b'{"doc_id": 1, "image": "' + b"x" * (MOST_READ_BYTES + LONGEST_LINE) + b'"}\n'
    file.write_bytes(b'{"doc_id": 0}\n' + huge + b'{"doc_id": 2}\n')

    found = pages(file)

    assert [indexes(each) for each in found] == [[0, 1], [2]]


@pytest.mark.parametrize("limit", [1, 500])
def test_a_file_of_huge_lines_is_read_to_its_end(file: Path, limit: int) -> None:
    file.write_bytes((b"x" * (LONGEST_LINE + 10) + b"\n") * 5)

    assert indexes(*pages(file, limit)) == list(range(5))


@pytest.mark.parametrize("length", [LONGEST_LINE - 1, LONGEST_LINE, LONGEST_LINE + 1])
@pytest.mark.parametrize("end", [b"\n", b""])
def test_lines_are_told_apart_at_the_longest_that_is_shown(
    file: Path, length: int, end: bytes
) -> None:
    begin = b'{"doc_id": 0, "a": "'
    file.write_bytes(begin + b"x" * (length - len(begin) - 2) + b'"}' + end)

    [found] = pages(file)
    [sample] = found.samples

    assert (sample.line.text is None) is (length > LONGEST_LINE)


def test_a_page_is_no_larger_than_what_is_parsed_for_it(file: Path) -> None:
    line = b'{"a": "' + b"x" * 100_000 + b'"}\n'
    file.write_bytes(line * 200)

    found = pages(file)

    sizes = [sum(len(each.line.text or b"") for each in page.samples) for page in found]
    assert len(found) == 3
    assert max(sizes) < MOST_PARSED_BYTES + len(line)
    assert indexes(*found) == list(range(200))


def test_a_search_in_vain_ends_after_a_bounded_part_and_goes_on_there(file: Path) -> None:
    line = b'{"acc": 1, "a": "' + b"x" * 100_000 + b'"}\n'
    file.write_bytes(line * 100 + b'{"acc": 0}\n')

    first, *others = pages(file, metric="acc", only=Verdict.WRONG)

    assert (indexes(first), first.undecided) == ([], 0)
    assert indexes(*others) == [100]


def test_a_page_in_the_middle_reads_nothing_of_what_is_before(file: Path) -> None:
    write(file, *judged(*range(10_000)))
    start = page(file, limit=9_990).next
    assert start is not None
    # Whoever reads it all the same meets what is no text any more.
    with file.open("r+b") as spoiled:
        spoiled.write(b"\xff" * (start.offset - 1))

    assert indexes(page(file, start=start)) == list(range(9_990, 10_000))
    assert all(sample.line.text for sample in page(file, start=start).samples)


@pytest.mark.parametrize(
    "start", [Place(1), Place(5), Place(10**9), Place(10**18), Place(-1), Place(10**9, 0, True)]
)
def test_no_page_begins_within_a_line_or_outside_of_the_file(file: Path, start: Place) -> None:
    write(file, *judged(1, 0))

    with pytest.raises(NoSuchPlace):
        page(file, start=start)


def test_the_first_metric_that_judges_is_chosen(file: Path) -> None:
    write(file, {"f1": 0.5, "acc": 1, "acc_norm": 0}, {"f1": 1.0, "acc": 0, "acc_norm": 0})

    assert choose(file, "bleu", "f1", "acc", "acc_norm") == "acc"


def test_where_no_metric_judges_none_is_chosen(file: Path) -> None:
    write(file, {"f1": 0.5})

    assert choose(file, "f1", "bleu") is None


def test_the_metric_that_is_asked_for_is_chosen(file: Path) -> None:
    write(file, {"acc": 1, "acc_norm": 0})

    assert choose(file, "acc", "acc_norm", asked="acc_norm") == "acc_norm"


def test_a_metric_that_only_later_samples_have_may_be_asked_for(file: Path) -> None:
    write(file, {"perception": 1})

    assert choose(file, "cognition", "perception", asked="cognition") == "cognition"


@pytest.mark.parametrize("asked", ["f1", "loss"])
def test_a_metric_that_does_not_judge_is_refused_with_those_that_do(file: Path, asked: str) -> None:
    write(file, {"f1": 1, "acc": 1, "loss": 0}, {"f1": 0.5, "acc": 0, "loss": 1})

    with pytest.raises(NotJudged) as refused:
        choose(file, "acc", "f1", asked=asked)

    assert refused.value.able == ["acc"]
