"""The harnesses' samples files: the task of each file, and the verdict of each sample."""

import json
from pathlib import Path
from typing import Any

import pytest

from evalserver.engines import Engine, Verdict, make_engines

DATA = Path(__file__).parent / "data"
ENGINES = make_engines("python3", None)


def engine(name: str) -> Engine:
    """Return the engine with that name."""
    return ENGINES[name]


def samples(pattern: str) -> list[dict[str, Any]]:
    """Return the samples in a file of a real harness."""
    [path] = DATA.glob(pattern)
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize(
    ("name", "file", "task"),
    [
        ("lmms_eval", "lmms_async/*/*_samples_*.jsonl", "digits_vqa"),
        ("lm_eval", "lm_chat/*/samples_*.jsonl", "biology_qa"),
        ("lm_eval", "lm_dummy/*/samples_digits*.jsonl", "digits_text_mc"),
    ],
)
def test_the_task_of_a_file_follows_from_its_name(name: str, file: str, task: str) -> None:
    [path] = DATA.glob(file)

    files = engine(name).samples_files({"model": {"samples": [str(path)]}})

    assert files == {task: path}


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("lmms_eval", "20260101_000000_samples_my_samples_task"),
        ("lm_eval", "samples_my_samples_task_2026-01-01T00-00-00.000001"),
    ],
)
def test_a_task_can_have_any_name(name: str, stem: str) -> None:
    files = engine(name).samples_files({"model": {"samples": [f"/x/{stem}.jsonl"]}})

    assert list(files) == ["my_samples_task"]


@pytest.mark.parametrize(
    ("name", "file", "metric"),
    [
        ("lmms_eval", "lmms_async/*/*_samples_*.jsonl", "acc"),
        ("lmms_eval", "lmms_dummy/*_samples_*.jsonl", "acc"),
        ("lm_eval", "lm_chat/*/samples_*.jsonl", "exact_match"),
        ("lm_eval", "lm_dummy/*/samples_digits*.jsonl", "acc"),
    ],
)
def test_real_samples_are_right_where_their_metric_is_1(name: str, file: str, metric: str) -> None:
    found = samples(file)

    verdicts = [engine(name).verdict(sample, metric) for sample in found]

    expected = [Verdict.RIGHT if sample[metric] == 1 else Verdict.WRONG for sample in found]
    assert verdicts == expected


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        (1, Verdict.RIGHT),
        (1.0, Verdict.RIGHT),
        (True, Verdict.RIGHT),
        ("True", Verdict.RIGHT),
        ({"question_id": "3", "score": 1.0}, Verdict.RIGHT),
        (0, Verdict.WRONG),
        (0.0, Verdict.WRONG),
        (False, Verdict.WRONG),
        ("False", Verdict.WRONG),
        ({"question_id": "3", "score": 0}, Verdict.WRONG),
        (0.3, Verdict.NEITHER),
        (2, Verdict.NEITHER),
        ("yes", Verdict.NEITHER),
        ([1, 0], Verdict.NEITHER),
        ({"answer": "B", "parsed_pred": "A"}, Verdict.NEITHER),
        ({"score": 55.5}, Verdict.NEITHER),
        ("1.0", Verdict.RIGHT),
        ("0", Verdict.WRONG),
        ("0.8333333", Verdict.NEITHER),
        ({"question_id": "3", "score": "1.0"}, Verdict.RIGHT),
        ("1_0", Verdict.NEITHER),
        ("1" * 1000, Verdict.NEITHER),
        (float("nan"), None),
        (float("inf"), None),
        ("nan", None),
        ({"score": None}, None),
        (None, None),
    ],
)
def test_each_value_has_a_verdict(value: object, verdict: Verdict | None) -> None:
    assert engine("lmms_eval").verdict({"acc": value}, "acc") is verdict


def test_a_metric_that_the_sample_does_not_have_gives_no_verdict() -> None:
    assert engine("lmms_eval").verdict({"doc_id": 0}, "acc") is None


def test_lm_eval_records_the_filter() -> None:
    [first, *_] = samples("lm_chat/*/samples_*.jsonl")

    assert engine("lm_eval").filter_of(first) == "none"


def test_lmms_eval_does_not_record_the_filter() -> None:
    [first, *_] = samples("lmms_async/*/*_samples_*.jsonl")

    assert engine("lmms_eval").filter_of(first) is None
