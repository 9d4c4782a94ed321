"""Pairing the samples of two jobs document by document."""

import json
from itertools import starmap
from pathlib import Path
from typing import Any

import pytest

from evalserver.engines import Engine, make_engines
from evalserver.outputs import (
    CHANGES,
    NO_ROW,
    Change,
    Judge,
    LinePosition,
    LineReader,
    SampleIndex,
    SamplePairs,
    ScoresUnavailable,
    index_samples,
    pair_samples,
    sample_index,
)
from evalserver.outputs.sample_pairs import classify

DATA = Path(__file__).parents[1] / "engines" / "data"
ENGINES = make_engines("python3", None)
ACC = Judge("acc", is_binary=True, filter="none", only_filter=True)

Sample = dict[str, Any]


def index(path: Path, judge: Judge = ACC, engine: Engine = ENGINES["lm_eval"]) -> SampleIndex:
    """Return the index of a file."""
    with path.open("rb") as file:
        return index_samples(file, engine, judge, lambda: False)


def of(tmp_path: Path, name: str, samples: list[Sample]) -> SampleIndex:
    """Return the index of a file with these samples."""
    path = tmp_path / f"{name}.jsonl"
    path.write_text("".join(f"{json.dumps(sample)}\n" for sample in samples))
    return index(path)


def pair(
    tmp_path: Path, baseline: list[Sample], job: list[Sample], *, same_harness: bool = True
) -> SamplePairs:
    """Pair two lists of samples."""
    first, second = of(tmp_path, "baseline", baseline), of(tmp_path, "job", job)
    return pair_samples(first, second, same_harness=same_harness, is_binary=True)


def rows(pairs: SamplePairs) -> set[tuple[int, int]]:
    """Return the pairs of rows."""
    return set(zip(pairs.baseline_rows, pairs.job_rows, strict=True))


def changes(pairs: SamplePairs) -> list[Change]:
    """Return the changes in their order."""
    return [CHANGES[number] for number in pairs.changes]


def scored(*scores: float) -> list[Sample]:
    """Return a sample with each score."""
    return [{"doc_id": at, "acc": score} for at, score in enumerate(scores)]


def asked(doc_id: int | str, question: str, **fields: Any) -> Sample:
    """Return a sample of a question."""
    return {"doc_id": doc_id, "input": question, "acc": 1.0, **fields}


def test_flips_come_first(tmp_path: Path) -> None:
    found = pair(tmp_path, scored(1, 0, 0, 1), scored(1, 0, 1, 0))

    assert changes(found) == [
        Change.RIGHT_TO_WRONG, Change.WRONG_TO_RIGHT, Change.BOTH_WRONG, Change.BOTH_RIGHT,
    ]  # fmt: skip
    assert list(found.baseline_rows) == [3, 2, 1, 0]


def test_what_only_one_has_comes_last(tmp_path: Path) -> None:
    found = pair(tmp_path, scored(1, 1, 1), [*scored(1), {"doc_id": 9, "acc": 1}])

    assert changes(found) == [
        Change.BOTH_RIGHT, Change.ONLY_BASELINE, Change.ONLY_BASELINE, Change.ONLY_JOB,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "is_binary", "expected"),
    [
        (1, 0, True, Change.RIGHT_TO_WRONG),
        (0, 1, True, Change.WRONG_TO_RIGHT),
        (0, 0, True, Change.BOTH_WRONG),
        (1, 1, True, Change.BOTH_RIGHT),
        (0.5, 0.2, False, Change.LOWER),
        (0.2, 0.5, False, Change.HIGHER),
        (0, 0, False, Change.EQUAL),
        (0.5, 0.5, False, Change.EQUAL),
        (float("nan"), 1, True, Change.UNJUDGED),
        (1, float("nan"), False, Change.UNJUDGED),
    ],
)
def test_a_change_follows_from_both_scores(
    before: float, after: float, is_binary: bool, expected: Change
) -> None:
    assert classify(before, after, is_binary=is_binary) is expected


def test_every_sample_is_in_one_pair(tmp_path: Path) -> None:
    found = pair(tmp_path, scored(*[1] * 7), scored(*[0] * 4))

    baseline = sorted(row for row in found.baseline_rows if row != NO_ROW)
    job = sorted(row for row in found.job_rows if row != NO_ROW)
    assert (baseline, job) == (list(range(7)), list(range(4)))


def test_documents_with_other_ids_are_paired_by_their_question(tmp_path: Path) -> None:
    found = pair(
        tmp_path,
        [asked(0, "Capital of France?"), asked(1, "Capital of Peru?")],
        [asked(7, "capital of  peru?"), asked(0, "Capital of Chad?")],
    )

    assert rows(found) == {(1, 0), (0, NO_ROW), (NO_ROW, 1)}
    assert list(found.by_content) == [1, 0, 0]


def test_another_prompt_of_the_same_harness_is_the_same_document(tmp_path: Path) -> None:
    found = pair(
        tmp_path,
        [asked(0, "Q: 1 + 1? A:", target="two", doc_hash="a")],
        [asked(0, "Think. Q: 1 + 1? A:", target="two", doc_hash="a")],
    )

    assert rows(found) == {(0, 0)}


def test_the_same_id_with_another_hash_is_another_document(tmp_path: Path) -> None:
    found = pair(
        tmp_path,
        [asked(0, "x", doc_hash="a"), asked(1, "y", doc_hash="b")],
        [asked(0, "y", doc_hash="b"), asked(1, "x", doc_hash="a")],
    )

    assert rows(found) == {(0, 1), (1, 0)}
    assert sum(found.by_content) == 2


def test_ids_of_other_harnesses_mean_nothing_where_contents_differ(tmp_path: Path) -> None:
    found = pair(
        tmp_path,
        [asked(0, "first?"), asked(1, "second?")],
        [asked(1, "first?"), asked(2, "second?")],
        same_harness=False,
    )

    assert rows(found) == {(0, 0), (1, 1)}


def test_one_question_about_many_images_is_paired_by_target_and_id(tmp_path: Path) -> None:
    images = [asked(at, "Which digit?", target=target) for at, target in enumerate("2882")]
    shifted = [{**each, "doc_id": each["doc_id"] + 1} for each in images]

    same = pair(tmp_path, images, images, same_harness=False)
    other = pair(tmp_path, images, shifted, same_harness=False)

    assert rows(same) == {(0, 0), (1, 1), (2, 2), (3, 3)}
    # The second "8" of the one and the first of the other have the same id: they cannot be told
    # apart.
    assert {pair for pair in rows(other) if NO_ROW not in pair} == {(2, 1)}


def test_documents_that_cannot_be_told_apart_are_not_paired_by_content(tmp_path: Path) -> None:
    found = pair(
        tmp_path,
        [asked("a", "Same?", target="x"), asked("b", "Same?", target="x")],
        [asked("c", "Same?", target="x"), asked("d", "Same?", target="x")],
    )

    assert changes(found) == [Change.ONLY_BASELINE] * 2 + [Change.ONLY_JOB] * 2


def test_the_same_document_in_several_epochs_is_paired_by_epoch(tmp_path: Path) -> None:
    epochs = [asked("a", "Q?", epoch=epoch) for epoch in (1, 2)]

    found = pair(tmp_path, epochs, list(reversed(epochs)))

    assert rows(found) == {(0, 1), (1, 0)}


def test_repetitions_of_an_id_are_paired_in_their_order(tmp_path: Path) -> None:
    found = pair(tmp_path, [asked(0, "Q?")] * 3, [asked(0, "Q?")] * 2)

    assert rows(found) == {(0, 0), (1, 1), (2, NO_ROW)}


def test_a_conversation_is_known_by_its_last_message(tmp_path: Path) -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Capital of Peru?"}]},
    ]

    found = pair(
        tmp_path,
        [{"doc_id": 0, "doc": {"question": "Capital of Peru?"}, "acc": 1.0}],
        [{"doc_id": "peru", "input": messages, "acc": 0.0}],
        same_harness=False,
    )

    assert changes(found) == [Change.RIGHT_TO_WRONG]


def test_real_samples_of_two_harnesses_are_paired(tmp_path: Path) -> None:
    [path] = DATA.glob("lm_chat/*/samples_*.jsonl")
    written = [json.loads(line) for line in path.read_text().splitlines()]
    # As our launcher writes those of Inspect, whose ids begin at 1.
    inspect = [
        {"doc_id": at, "input": sample["doc"]["question"], "target": sample["target"],
         "filter": "match", "acc": 1.0}
        for at, sample in enumerate(written, 1)
    ]  # fmt: skip
    judge = Judge("exact_match", is_binary=True, filter="none", only_filter=True)

    found = pair_samples(
        index(path, judge), of(tmp_path, "inspect", inspect), same_harness=False, is_binary=True
    )

    assert rows(found) == {(at, at) for at in range(len(written))}


def test_real_samples_of_images_are_paired_by_id() -> None:
    paths = [
        next(DATA.glob(f"{name}_samples_*.jsonl")) for name in ("lmms_async/*/*", "lmms_dummy/*")
    ]
    indexes = [index(path, engine=ENGINES["lmms_eval"]) for path in paths]

    found = pair_samples(*indexes, same_harness=True, is_binary=True)

    assert rows(found) == {(at, at) for at in range(len(indexes[0]))}


def test_lines_without_a_sample_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    path.write_text('{"doc_id": 0, "acc": 1}\n\n[]\n{"acc": 1}\n{"doc_id": 1, "ac')

    found = index(path)

    assert (len(found), found.unreadable) == (1, 3)


def test_each_sample_can_be_found_again(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    long = json.dumps({"doc_id": 1, "resps": "x" * 1_200_000, "acc": 1})
    path.write_text(f'{{"doc_id": 0}}\n{long}\n\n{{"doc_id": 2}}\n')

    found = index(path)

    with path.open("rb") as file:
        again = [
            next(iter(LineReader(file, LinePosition(*position))))
            for position in starmap(
                lambda place, line: (place // 2, line, bool(place % 2)),
                zip(found.places, found.lines, strict=True),
            )
        ]
    assert [(each.doc_id, each.index) for each in again] == [(0, 0), (1, 1), (2, 3)]


def test_samples_of_another_filter_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    path.write_text("".join(
        f'{json.dumps({"doc_id": 0, "filter": name, "acc": 1})}\n' for name in ("strict", "loose")
    ))  # fmt: skip

    found = index(path, Judge("acc", is_binary=True, filter="loose", only_filter=False))

    assert list(found.lines) == [1]


def test_a_file_with_too_many_samples_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample_index, "MAX_SAMPLES", 3)

    with pytest.raises(ScoresUnavailable, match="more than 3 samples"):
        of(tmp_path, "large", scored(1, 1, 1, 1))
