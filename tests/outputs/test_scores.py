"""Scores of documents, read line by line from a samples file."""

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest

from evalserver.engines import make_engines
from evalserver.outputs import ScoresUnavailable, TaskScores, read_scores, scores
from evalserver.outputs.sample_lines import MAX_PARSED_BYTES

DATA = Path(__file__).parents[1] / "engines" / "data"
ENGINES = make_engines("python3", None)
ACC = ("acc", "none")


def read(path: Path, *keys: tuple[str, str], engine: str = "lm_eval") -> TaskScores:
    """Read the scores of a file."""
    with path.open("rb") as file:
        return read_scores(file, ENGINES[engine], keys or [ACC])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The path of the samples file of a test."""
    return tmp_path / "samples.jsonl"


def write(file: Path, *samples: dict[str, Any]) -> Path:
    """Write a samples file as harnesses do."""
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
def test_scores_are_read_from_all_notations_of_a_number(file: Path, value: object) -> None:
    write(file, {"doc_id": "a", "acc": value})

    assert read(file).scores[ACC] == {"a": 1.0}


@pytest.mark.parametrize("value", ["0.8333333", {"question_id": 3, "score": "0.8333333"}])
def test_a_number_written_as_text_is_a_score(file: Path, value: object) -> None:
    write(file, {"doc_id": 0, "acc": value})

    assert read(file).scores[ACC] == {0: 0.8333333}


@pytest.mark.parametrize(
    "value", [[1, 0], "yes", None, {"pred": 1}, float("nan"), "nan", "Infinity", "1_0"]
)
def test_a_value_that_is_not_a_single_number_is_ignored(file: Path, value: object) -> None:
    write(file, {"doc_id": 0, "acc": value})

    assert read(file).scores[ACC] == {}


ODD_LINES = (
    b'{"doc_id": 1, "acc": 1, "resps": ["\\ud800"]}',
    b'{"doc_id": 1, "acc": 1, "resps": ["\xff"]}',
    b'{"doc_id": 1, "acc": 1, "resps": ["\xed\xa0\x80"]}',
    b'{"doc_id": 1, "acc": 1, "f1": NaN, "tokens": 1e999}',
)


@pytest.mark.parametrize("line", ODD_LINES)
def test_a_document_whose_answer_is_no_unicode_keeps_its_score(file: Path, line: bytes) -> None:
    file.write_bytes(b'{"doc_id": 0, "acc": 0}\n' + line + b"\n")

    assert read(file).scores[ACC] == {0: 0.0, 1: 1.0}


def test_a_file_larger_than_one_read_is_read_completely(file: Path) -> None:
    filler = "x" * 500_000
    count = 2 * MAX_PARSED_BYTES // 500_000
    write(file, *({"doc_id": index, "acc": 1, "doc": filler} for index in range(count)))

    assert len(read(file).scores[ACC]) == count


def test_a_document_with_two_samples_is_rejected(file: Path) -> None:
    write(file, {"doc_id": 0, "acc": 1}, {"doc_id": 0, "acc": 0})

    with pytest.raises(ScoresUnavailable, match="document 0 has several samples"):
        read(file)


@pytest.mark.parametrize("line", ["no JSON", '{"acc": 1}'])
def test_a_file_with_an_invalid_line_is_rejected(file: Path, line: str) -> None:
    file.write_text(f'{{"doc_id": 0, "acc": 1}}\n{line}\n')

    with pytest.raises(ScoresUnavailable, match=r"cannot be read|has no document id"):
        read(file)


def test_a_file_above_the_maximum_size_is_rejected(file: Path) -> None:
    file.touch()
    os.truncate(file, scores.MAX_FILE_BYTES + 1)

    with pytest.raises(ScoresUnavailable, match="more than the maximum of 1073741824"):
        read(file)


def test_too_many_scores_are_rejected(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scores, "MAX_SCORES", 2)
    write(file, *({"doc_id": index, "acc": 1} for index in range(3)))

    with pytest.raises(ScoresUnavailable, match="more than 2 scores"):
        read(file)


@pytest.mark.parametrize(
    ("other_hash", "same"),
    [({"doc_hash": "a"}, True), ({"doc_hash": "b"}, False), ({}, True)],
)
def test_different_documents_with_the_same_id_are_detected(
    file: Path, other_hash: dict[str, str], same: bool
) -> None:
    mine = read(write(file, {"doc_id": 0, "acc": 1, "doc_hash": "a"}))
    other = read(write(file, {"doc_id": 0, "acc": 1, **other_hash}))

    assert mine.has_same_documents(other) is same


def test_the_cluster_of_a_document_is_read_by_filter(file: Path) -> None:
    write(
        file,
        *(
            {"doc_id": doc, "filter": "a", "acc": 1, "cluster": f"video {doc // 2}"}
            for doc in range(4)
        ),
        *({"doc_id": doc, "filter": "b", "acc": 1, "cluster": 7} for doc in range(4)),
    )

    found = read(file, ("acc", "a"), ("acc", "b")).clusters

    names = [len(set(clusters.values())) for clusters in (found["a"], found["b"])]
    assert (names, found["a"][0] == found["a"][1]) == ([2, 1], True)


@pytest.mark.parametrize("cluster", [None, 0.5, ["a"], {"video": "a"}])
def test_a_cluster_that_is_no_text_and_no_whole_number_is_ignored(
    file: Path, cluster: object
) -> None:
    write(file, {"doc_id": 0, "acc": 1, "cluster": cluster})

    assert read(file).clusters == {"none": {}}


def test_lines_are_read_lazily(file: Path) -> None:
    write(file, *({"doc_id": 0, "acc": 1, "doc": "x" * 100_000} for _ in range(400)))

    class Counting(io.FileIO):
        read_bytes = 0

        def readline(self, size: int | None = -1, /) -> bytes:
            line = super().readline(size)
            self.read_bytes += len(line)
            return line

    with Counting(file) as counting, pytest.raises(ScoresUnavailable, match="several"):
        read_scores(counting, ENGINES["lm_eval"], [ACC])

    assert counting.read_bytes < 250_000
