"""Scores of documents, read line by line from a samples file."""

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest

from evalserver.engines import make_engines
from evalserver.outputs import NoScores, TaskScores, read_scores, scores
from evalserver.outputs.sample_lines import MOST_PARSED_BYTES

DATA = Path(__file__).parents[1] / "engines" / "data"
ENGINES = make_engines("python3", None)
ACC = ("acc", "none")


def read(path: Path, *keys: tuple[str, str], engine: str = "lm_eval") -> TaskScores:
    """What the file tells."""
    with path.open("rb") as file:
        return read_scores(file, ENGINES[engine], keys or [ACC])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the test's samples are."""
    return tmp_path / "samples.jsonl"


def write(file: Path, *samples: dict[str, Any]) -> Path:
    """Write samples as a harness does."""
    file.write_text("".join(f"{json.dumps(sample)}\n" for sample in samples))
    return file


@pytest.mark.parametrize(
    ("engine", "pattern", "key"),
    [
        ("lmms_eval", "lmms_async/*/*_samples_*.jsonl", ACC),
        ("lm_eval", "lm_chat/*/samples_*.jsonl", ("exact_match", "none")),
    ],
)
def test_each_document_of_a_real_file_has_its_score(
    engine: str, pattern: str, key: tuple[str, str]
) -> None:
    [path] = DATA.glob(pattern)

    found = read(path, key, engine=engine)

    samples = [json.loads(line) for line in path.read_text().splitlines()]
    assert found.scores[key] == {sample["doc_id"]: sample[key[0]] for sample in samples}
    assert found.hashes.keys() == found.scores[key].keys()


def test_scores_are_kept_by_metric_and_filter(file: Path) -> None:
    write(
        file,
        {"doc_id": 0, "filter": "strict", "acc": 0.0, "f1": 0.5},
        {"doc_id": 0, "filter": "loose", "acc": 1.0, "f1": 0.7},
    )

    found = read(file, ("acc", "strict"), ("acc", "loose"), ("f1", "strict")).scores

    assert found == {
        ("acc", "strict"): {0: 0.0},
        ("acc", "loose"): {0: 1.0},
        ("f1", "strict"): {0: 0.5},
    }


@pytest.mark.parametrize("value", [1, 1.0, True, "True", {"question_id": 3, "score": 1.0}])
def test_a_score_is_a_number_however_it_is_written(file: Path, value: object) -> None:
    write(file, {"doc_id": "a", "acc": value})

    assert read(file).scores[ACC] == {"a": 1.0}


@pytest.mark.parametrize("value", [[1, 0], "yes", None, {"pred": 1}, float("nan")])
def test_what_is_no_single_number_is_no_score(file: Path, value: object) -> None:
    write(file, {"doc_id": 0, "acc": value})

    assert read(file).scores[ACC] == {}


def test_a_file_is_read_beyond_what_is_looked_at_in_one_go(file: Path) -> None:
    filler = "x" * 500_000
    count = 2 * MOST_PARSED_BYTES // 500_000
    write(file, *({"doc_id": index, "acc": 1, "doc": filler} for index in range(count)))

    assert len(read(file).scores[ACC]) == count


def test_two_samples_of_one_document_are_not_taken_for_two(file: Path) -> None:
    write(file, {"doc_id": 0, "acc": 1}, {"doc_id": 0, "acc": 0})

    with pytest.raises(NoScores, match="document 0 has several samples"):
        read(file)


@pytest.mark.parametrize("line", ["no JSON", '{"acc": 1}'])
def test_a_line_that_cannot_be_read_makes_the_whole_file_unfit(file: Path, line: str) -> None:
    file.write_text(f'{{"doc_id": 0, "acc": 1}}\n{line}\n')

    with pytest.raises(NoScores, match=r"cannot be read|names no document"):
        read(file)


def test_a_huge_file_is_not_read(file: Path) -> None:
    file.touch()
    os.truncate(file, scores.MOST_BYTES + 1)

    with pytest.raises(NoScores, match="more than the 1073741824 that are read"):
        read(file)


def test_too_many_numbers_are_not_kept(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scores, "MOST_SCORES", 2)
    write(file, *({"doc_id": index, "acc": 1} for index in range(3)))

    with pytest.raises(NoScores, match="more than 2 numbers"):
        read(file)


@pytest.mark.parametrize(
    ("theirs", "same"),
    [({"doc_hash": "a"}, True), ({"doc_hash": "b"}, False), ({}, True)],
)
def test_another_document_under_the_same_id_is_seen(
    file: Path, theirs: dict[str, str], same: bool
) -> None:
    mine = read(write(file, {"doc_id": 0, "acc": 1, "doc_hash": "a"}))
    other = read(write(file, {"doc_id": 0, "acc": 1, **theirs}))

    assert mine.has_documents_of(other) is same


def test_lines_are_not_read_before_they_are_needed(file: Path) -> None:
    write(file, *({"doc_id": 0, "acc": 1, "doc": "x" * 100_000} for _ in range(400)))

    class Counting(io.FileIO):
        read_bytes = 0

        def readline(self, size: int | None = -1, /) -> bytes:
            line = super().readline(size)
            self.read_bytes += len(line)
            return line

    with Counting(file) as counting, pytest.raises(NoScores, match="several"):
        read_scores(counting, ENGINES["lm_eval"], [ACC])

    assert counting.read_bytes < 250_000
