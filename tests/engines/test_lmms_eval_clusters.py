"""Clusters of documents that our launcher has lmms-eval write into its samples."""

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from evalserver.engines.in_harness.lmms_eval_clusters import add_clusters, name_clusters

TRACKER = """
class EvaluationTracker:
    def __init__(self):
        self.saved = []

    def save_results_aggregated(self, results, samples, datetime_str):
        self.saved.append(results)

    def save_results_samples(self, task_name, samples):
        self.saved += samples
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The module of a harness that saves as lmms-eval does; tests write it."""
    loggers = tmp_path / "lmms_eval" / "loggers"
    loggers.mkdir(parents=True)
    monkeypatch.syspath_prepend(tmp_path)
    with patch.dict(sys.modules):
        yield loggers / "evaluation_tracker.py"


def save(configs: Any, samples: list[Any]) -> list[Any]:
    """Save as lmms-eval does; return what was saved."""
    tracker = import_module("lmms_eval.loggers.evaluation_tracker").EvaluationTracker()
    tracker.save_results_aggregated(results={"configs": configs}, samples={}, datetime_str="now")
    tracker.save_results_samples(task_name="videomme", samples=samples)
    saved: list[Any] = tracker.saved[1:]
    return saved


def test_the_samples_of_a_task_with_a_cluster_key_name_their_cluster(package: Path) -> None:
    package.write_text(TRACKER)
    name_clusters("lmms_eval")

    found = save({"videomme": {"cluster_key": "videoID"}}, [{"acc": {"score": 1, "videoID": "a"}}])

    assert found == [{"acc": {"score": 1, "videoID": "a"}, "cluster": "a"}]


@pytest.mark.parametrize(
    "configs", [{"videomme": {}}, {"videomme": {"cluster_key": None}}, {}, None, {"videomme": 1}]
)
def test_the_samples_of_a_task_without_a_cluster_key_name_none(package: Path, configs: Any) -> None:
    package.write_text(TRACKER)
    name_clusters("lmms_eval")

    assert save(configs, [{"acc": 1.0}]) == [{"acc": 1.0}]


@pytest.mark.parametrize("text", ["", "class EvaluationTracker: pass"])
def test_a_harness_that_saves_otherwise_is_left_alone(package: Path, text: str) -> None:
    package.write_text(text)

    name_clusters("lmms_eval")


def test_a_harness_without_this_module_is_left_alone() -> None:
    name_clusters("no_such_harness")


@pytest.mark.parametrize(
    ("sample", "cluster"),
    [
        ({"doc": {"video": "a"}, "acc": 1.0}, "a"),
        ({"doc": {}, "acc": {"score": 1.0, "video": 7}}, 7),
        ({"doc": {"video": None}, "acc": {"video": "b"}}, "b"),
        ({"doc": {"video": 0.5}}, "0.5"),
        ({"doc": {"video": "a"}, "cluster": "own"}, "own"),
        ({"doc": {"question": "?"}, "acc": 1.0}, None),
    ],
)
def test_the_cluster_is_that_of_the_document_or_of_its_score(
    sample: dict[str, Any], cluster: str | int | None
) -> None:
    add_clusters([sample, "no object"], "video")

    assert sample.get("cluster") == cluster
