"""Fewer samples than scored documents are found, and requests without an answer counted."""

import json
from pathlib import Path

import pytest

from evalserver.core.request import EvaluateRequest
from evalserver.core.result_check import FindingCode
from evalserver.engines import FailedRequests, Paths, Results, make_engines

ENGINES = make_engines("python3", None)
NAMES = {
    "lmms_eval": ("20260101_000000_results.json", "20260101_000000_samples_{}.jsonl"),
    "lm_eval": ("results_2026.json", "samples_{}_2026.jsonl"),
    "inspect": ("20260101_000000_results.json", "20260101_000000_samples_{}.jsonl"),
}


def read(
    place: Path,
    engine: str,
    lines: dict[str, int],
    *,
    filters: tuple[str, ...] = ("none",),
    log_samples: bool = True,
    log: str = "",
) -> Results:
    """Write the results of tasks with 8 documents, and so many samples; and read them."""
    run_dir, folder = place / "run" / "1", place / "out" / "1" / "model"
    for each in (run_dir, folder):
        each.mkdir(parents=True)
    (run_dir / "eval.log").write_text(log)
    results, samples = NAMES[engine]
    content = {
        "results": {task: {f"acc,{name}": 0.5 for name in filters} for task in lines},
        "n-samples": {task: {"original": 9, "effective": 8} for task in lines},
    }
    (folder / results).write_text(json.dumps(content))
    for task, count in lines.items():
        if count:
            (folder / samples.format(task)).write_text('{"doc_id": 0}\n' * count)
    request = EvaluateRequest(model="m", tasks=tuple(lines), log_samples=log_samples)
    return ENGINES[engine].read_results(request, Paths(run_dir, folder.parent, place / "cache"))


def missing(results: Results) -> list[tuple[str | None, str]]:
    """Return the tasks with missing samples, and what is said of each."""
    return [
        (each.task, each.message)
        for each in results.findings
        if each.code is FindingCode.MISSING_SAMPLES
    ]


@pytest.mark.parametrize("engine", NAMES)
@pytest.mark.parametrize("written", [0, 2, 7])
def test_a_task_with_fewer_samples_than_documents_has_a_finding(
    tmp_path: Path, engine: str, written: int
) -> None:
    results = read(tmp_path, engine, {"whole": 8, "short": written})

    text = f"{written} of 8 samples were written; the metrics count all of them"
    assert missing(results) == [("short", text)]


@pytest.mark.parametrize("engine", NAMES)
def test_every_filter_has_a_sample_of_each_document(tmp_path: Path, engine: str) -> None:
    results = read(tmp_path, engine, {"whole": 16, "short": 12}, filters=("a", "b"))

    assert [task for task, _ in missing(results)] == ["short"]


@pytest.mark.parametrize("engine", NAMES)
def test_further_samples_are_not_odd(tmp_path: Path, engine: str) -> None:
    assert missing(read(tmp_path, engine, {"repeated": 32})) == []


@pytest.mark.parametrize("engine", NAMES)
def test_samples_that_were_not_asked_for_are_not_missing(tmp_path: Path, engine: str) -> None:
    assert missing(read(tmp_path, engine, {"task": 0}, log_samples=False)) == []


@pytest.mark.parametrize("engine", ["lm_eval", "inspect"])
def test_a_samples_file_that_cannot_be_read_is_a_finding(tmp_path: Path, engine: str) -> None:
    folder = tmp_path / "out" / "1" / "model"
    folder.mkdir(parents=True)
    (folder / NAMES[engine][1].format("task")).mkdir()
    run_dir = tmp_path / "run" / "1"
    run_dir.mkdir(parents=True)
    content = {"results": {"task": {"acc,none": 1}}, "n-samples": {"task": {"effective": 8}}}
    (folder / NAMES[engine][0]).write_text(json.dumps(content))
    request = EvaluateRequest(model="m", tasks=("task",))

    results = ENGINES[engine].read_results(request, Paths(run_dir, folder.parent, tmp_path))

    [finding] = results.findings
    assert finding.code is FindingCode.UNREADABLE_SAMPLES
    assert "is a directory" in finding.message


def test_responses_without_an_answer_are_failed_requests_of_lm_eval(tmp_path: Path) -> None:
    log = "WARNING [openai] Could not parse generations: 'choices'\n" * 2

    results = read(tmp_path, "lm_eval", {"task": 8}, log=log)

    assert results.failed_requests is not None
    assert (results.failed_requests.failed, results.failed_requests.of) == (2, 8)


def test_samples_in_error_are_failed_requests_of_inspect(tmp_path: Path) -> None:
    content = {
        "results": {"a": {"accuracy,includes": 1.0}, "b": {"accuracy,includes": 1.0}},
        "failed_samples": {
            "a": {"failed": 3, "of": 4, "example": "RuntimeError('x')"},
            "b": {"failed": 0, "of": 4, "example": None},
            "odd": ["text"],
            "odder": {"failed": "3", "of": -1, "example": 3},
        },
    }
    folder = tmp_path / "out" / "1"
    folder.mkdir(parents=True)
    (folder / NAMES["inspect"][0]).write_text(json.dumps(content))
    request = EvaluateRequest(model="m", tasks=("a", "b"))

    results = ENGINES["inspect"].read_results(request, Paths(tmp_path, folder, tmp_path))

    assert results.failed_requests == FailedRequests(3, 8, "RuntimeError('x')")


def test_each_filter_has_its_own_number_of_documents(tmp_path: Path) -> None:
    content = {
        "results": {"a": {"accuracy,right": 1.0, "accuracy,other": 1.0}},
        "n-samples": {"a": {"effective": 8, "scored": {"right": 2}}},
    }
    folder = tmp_path / "out" / "1"
    folder.mkdir(parents=True)
    (folder / NAMES["inspect"][0]).write_text(json.dumps(content))
    request = EvaluateRequest(model="m", tasks=("a",), log_samples=False)

    results = ENGINES["inspect"].read_results(request, Paths(tmp_path, folder, tmp_path))

    assert {each.filter: each.n for each in results.metrics} == {"right": 2, "other": 8}
