"""Pages of a samples file, with a limited cost whatever the file contains."""

import json
from pathlib import Path
from typing import Any

import pytest

from evalserver.engines import Verdict, make_engines
from evalserver.outputs import (
    InvalidPosition,
    LinePosition,
    MetricNotBinary,
    SamplesFilter,
    SamplesPage,
    choose_metric,
    read_page,
)
from evalserver.outputs.sample_lines import MAX_LINE_BYTES, MAX_PARSED_BYTES, MAX_READ_BYTES

DATA = Path(__file__).parents[1] / "engines" / "data"
ENGINE = make_engines("python3", None)["lm_eval"]
START = LinePosition()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The path of the samples file of a test."""
    return tmp_path / "samples.jsonl"


def write(file: Path, *samples: dict[str, Any]) -> None:
    """Write a samples file as harnesses do."""
    file.write_text("".join(f"{json.dumps(sample)}\n" for sample in samples))


def scored(*values: object) -> list[dict[str, Any]]:
    """Return samples with these scores of the metric ``acc``."""
    return [{"doc_id": index, "acc": value} for index, value in enumerate(values)]


def page(path: Path, limit: int = 500, start: LinePosition = START, **filters: Any) -> SamplesPage:
    """Read one page of the file."""
    with path.open("rb") as file:
        return read_page(file, ENGINE, SamplesFilter(limit, **filters), start)


def pages(path: Path, limit: int = 500, **filters: Any) -> list[SamplesPage]:
    """Read all pages of the file."""
    found = [page(path, limit, **filters)]
    while (start := found[-1].next) is not None:
        found.append(page(path, limit, start, **filters))
    return found


def indexes(*pages: SamplesPage) -> list[int]:
    """Return the line numbers of the samples in the pages."""
    return [sample.line.index for each in pages for sample in each.samples]


def choose(path: Path, *metrics: str, requested: str | None = None) -> str | None:
    """Choose a metric for the file."""
    with path.open("rb") as file:
        return choose_metric(file, ENGINE, metrics, requested)


def test_the_lines_of_a_real_file_are_returned_unchanged() -> None:
    [path] = DATA.glob("lm_chat/*/samples_*.jsonl")

    texts = [sample.line.text for sample in page(path).samples]

    assert texts == path.read_bytes().splitlines()


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 10, 11])
def test_pages_have_each_sample_once_and_in_order(file: Path, limit: int) -> None:
    write(file, *scored(*range(10)))

    assert indexes(*pages(file, limit)) == list(range(10))


@pytest.mark.parametrize("limit", [5, 10])
def test_no_page_follows_the_last_sample(file: Path, limit: int) -> None:
    write(file, *scored(*range(10)))

    assert len(pages(file, limit)) == 10 // limit


def test_an_empty_file_has_one_empty_page(file: Path) -> None:
    file.touch()

    assert pages(file) == [SamplesPage([], 0, None)]


def test_the_last_line_needs_no_newline(file: Path) -> None:
    file.write_text('{"doc_id": 0}\n{"doc_id": 1}')

    assert indexes(*pages(file)) == [0, 1]


def test_blank_lines_are_counted_and_skipped(file: Path) -> None:
    file.write_text('{"doc_id": 0}\n\n  \n{"doc_id": 1}\n')

    assert indexes(*pages(file)) == [0, 3]


def test_only_right_samples_are_returned(file: Path) -> None:
    write(file, *scored(1.0, 0.0, 1, 0))

    assert indexes(page(file, metric="acc", only=Verdict.RIGHT)) == [0, 2]


def test_only_wrong_samples_are_returned_page_by_page(file: Path) -> None:
    write(file, *scored(1.0, 0.0, 1, 0, 0))

    found = pages(file, limit=2, metric="acc", only=Verdict.WRONG)

    assert [indexes(each) for each in found] == [[1, 3], [4]]


def test_samples_without_a_verdict_are_counted(file: Path) -> None:
    write(file, *scored(1.0, 0.5, None))
    with file.open("a") as more:
        more.write("no JSON\n")

    found = page(file, metric="acc", only=Verdict.RIGHT)

    assert (indexes(found), found.undecided) == ([0], 3)


def test_each_sample_says_whether_it_is_right(file: Path) -> None:
    write(file, *scored(1.0, 0.0, 0.5, None))

    found = page(file, metric="acc")

    assert [sample.right for sample in found.samples] == [True, False, None, None]


def test_only_samples_of_one_filter_are_returned(file: Path) -> None:
    write(file, {"filter": "a"}, {"filter": "b"}, {"filter": "a"})

    assert indexes(page(file, filter="a")) == [0, 2]


def test_samples_without_a_filter_are_undecided(file: Path) -> None:
    write(file, *scored(1, 0))

    found = page(file, filter="a")

    assert (indexes(found), found.undecided) == ([], 2)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b'{"doc_id": 7, "acc"', "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
        (b'"text"', "not a JSON object"),
        (b"[" * 5_000, "cannot be read"),
        (b'{"a": ' * 5_000, "cannot be read"),
        (b'{"n": ' + b"9" * 10_000 + b"x}", "cannot be read"),
        (b'{"a": [' + b"1," * 50_001 + b"1]}", "too many values"),
        (b'{"a": [' + b"[]," * 5_000 + b"1]}", "too many values"),
        (b'{"a": [' + b"{}," * 5_000 + b"1]}", "too many values"),
    ],
)
def test_an_invalid_line_is_reported_and_skipped(file: Path, line: bytes, problem: str) -> None:
    file.write_bytes(b'{"doc_id": 0}\n' + line + b'\n{"doc_id": 2}\n')

    first, second, third = page(file).samples

    assert (first.line.doc_id, third.line.doc_id) == (0, 2)
    assert second.line.text is None
    assert problem in (second.line.problem or "")


def test_nan_and_infinity_become_null(file: Path) -> None:
    file.write_text('{"doc_id": 0, "ppl": NaN, "ll": -Infinity}\n')

    [sample] = page(file).samples

    assert sample.line.text == b'{"doc_id":0,"ppl":null,"ll":null}'


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b'{"a": "x\\ud800y", "acc": NaN}', '{"a":"x\ufffdy","acc":null}'),
        (b'{"a": "x\xffy"}', '{"a":"x\ufffdy"}'),
        (b'{"a": "\xed\xa0\x80"}', '{"a":"\ufffd\ufffd\ufffd"}'),
        (b'{"\\udfff": 1e999, "\\ud83d\\ude00": "\xff"}', '{"\ufffd":null,"\U0001f600":"\ufffd"}'),
    ],
)
def test_what_is_no_unicode_is_shown_as_a_replacement_character(
    file: Path, line: bytes, shown: str
) -> None:
    file.write_bytes(line + b"\n")

    [sample] = page(file).samples

    assert (sample.line.text or b"").decode() == shown


def test_a_document_id_with_a_lone_surrogate_can_be_encoded(file: Path) -> None:
    file.write_text('{"doc_id": "\\ud800"}\n')

    [sample] = page(file).samples

    assert sample.line.doc_id == "\ufffd"


def test_only_a_sample_with_nan_is_without_a_verdict(file: Path) -> None:
    write(file, *scored(1.0, float("nan"), 0.0))

    metric = choose(file, "acc", requested="acc")
    found = page(file, metric=metric, only=Verdict.WRONG)

    assert (indexes(found), found.undecided) == ([2], 1)


def test_a_huge_line_is_reported_with_its_document_and_offset(file: Path) -> None:
    file.write_bytes(
        b'{"doc_id": 0}\n{"doc_id": 1, "image": "' + b"x" * 2 * MAX_LINE_BYTES + b'"}\n'
    )

    _, sample = page(file).samples

    assert (sample.line.index, sample.line.doc_id, sample.line.text) == (1, 1, None)
    assert "begins at byte 14 of its file" in (sample.line.problem or "")


def test_reading_continues_after_a_huge_line(file: Path) -> None:
    huge = b'{"doc_id": 1, "image": "' + b"x" * (MAX_READ_BYTES + MAX_LINE_BYTES) + b'"}\n'
    file.write_bytes(b'{"doc_id": 0}\n' + huge + b'{"doc_id": 2}\n')

    found = pages(file)

    assert [indexes(each) for each in found] == [[0, 1], [2]]


@pytest.mark.parametrize("limit", [1, 500])
def test_a_file_of_huge_lines_is_read_to_its_end(file: Path, limit: int) -> None:
    file.write_bytes((b"x" * (MAX_LINE_BYTES + 10) + b"\n") * 5)

    assert indexes(*pages(file, limit)) == list(range(5))


@pytest.mark.parametrize("length", [MAX_LINE_BYTES - 1, MAX_LINE_BYTES, MAX_LINE_BYTES + 1])
@pytest.mark.parametrize("end", [b"\n", b""])
def test_lines_up_to_the_maximum_length_are_parsed(file: Path, length: int, end: bytes) -> None:
    begin = b'{"doc_id": 0, "a": "'
    file.write_bytes(begin + b"x" * (length - len(begin) - 2) + b'"}' + end)

    [found] = pages(file)
    [sample] = found.samples

    assert (sample.line.text is None) is (length > MAX_LINE_BYTES)


def test_the_bytes_of_a_page_are_limited(file: Path) -> None:
    line = b'{"a": "' + b"x" * 100_000 + b'"}\n'
    file.write_bytes(line * 200)

    found = pages(file)

    sizes = [sum(len(each.line.text or b"") for each in page.samples) for page in found]
    assert len(found) == 3
    assert max(sizes) < MAX_PARSED_BYTES + len(line)
    assert indexes(*found) == list(range(200))


def test_a_search_without_matches_returns_its_position_after_a_limited_part(file: Path) -> None:
    line = b'{"acc": 1, "a": "' + b"x" * 100_000 + b'"}\n'
    file.write_bytes(line * 100 + b'{"acc": 0}\n')

    first, *others = pages(file, metric="acc", only=Verdict.WRONG)

    assert (indexes(first), first.undecided) == ([], 0)
    assert indexes(*others) == [100]


def test_a_page_in_the_middle_does_not_read_the_lines_before(file: Path) -> None:
    write(file, *scored(*range(10_000)))
    start = page(file, limit=9_990).next
    assert start is not None
    # Reading the lines before would now fail.
    with file.open("r+b") as corrupted:
        corrupted.write(b"\xff" * (start.offset - 1))

    assert indexes(page(file, start=start)) == list(range(9_990, 10_000))
    assert all(sample.line.text for sample in page(file, start=start).samples)


@pytest.mark.parametrize(
    "start",
    [
        LinePosition(1),
        LinePosition(5),
        LinePosition(10**9),
        LinePosition(10**18),
        LinePosition(-1),
        LinePosition(10**9, 0, True),
    ],
)
def test_a_position_inside_a_line_or_outside_the_file_is_rejected(
    file: Path, start: LinePosition
) -> None:
    write(file, *scored(1, 0))

    with pytest.raises(InvalidPosition):
        page(file, start=start)


def test_the_first_binary_metric_is_chosen(file: Path) -> None:
    write(file, {"f1": 0.5, "acc": 1, "acc_norm": 0}, {"f1": 1.0, "acc": 0, "acc_norm": 0})

    assert choose(file, "bleu", "f1", "acc", "acc_norm") == "acc"


def test_no_metric_is_chosen_if_none_is_binary(file: Path) -> None:
    write(file, {"f1": 0.5})

    assert choose(file, "f1", "bleu") is None


def test_the_requested_metric_is_chosen(file: Path) -> None:
    write(file, {"acc": 1, "acc_norm": 0})

    assert choose(file, "acc", "acc_norm", requested="acc_norm") == "acc_norm"


def test_a_metric_that_only_later_samples_have_can_be_requested(file: Path) -> None:
    write(file, {"perception": 1})

    assert choose(file, "cognition", "perception", requested="cognition") == "cognition"


@pytest.mark.parametrize("requested", ["f1", "loss"])
def test_a_metric_that_is_not_binary_is_rejected_with_the_binary_ones(
    file: Path, requested: str
) -> None:
    write(file, {"f1": 1, "acc": 1, "loss": 0}, {"f1": 0.5, "acc": 0, "loss": 1})

    with pytest.raises(MetricNotBinary) as rejected:
        choose(file, "acc", "f1", requested=requested)

    assert rejected.value.binary_metrics == ["acc"]
