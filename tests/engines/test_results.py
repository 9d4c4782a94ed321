"""Reading results: the metrics of the harness's file, or a readable reason why there are none.

``data/`` has shortened output of real runs of lmms-eval 0.7.3 and lm-eval 0.4.13.
"""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evalserver.core.job import Metric
from evalserver.core.request import EvaluateRequest
from evalserver.engines import Engine, NoResults, Paths, Results, make_engines
from evalserver.engines.results import MAX_RESULTS_BYTES, MAX_RESULTS_VALUES

DATA = Path(__file__).parent / "data"
ENGINES = make_engines("python3", None)


def read(case: str, output_dir: Path | None = None, tasks: tuple[str, ...] = ()) -> Results:
    """Read the output directory with the case's engine, for these requested tasks."""
    place = output_dir or DATA / case
    paths = Paths(place.parent, place, place.parent / "cache")
    return _engine(case).read_results(EvaluateRequest("model", tasks), paths)


def _engine(case: str) -> Engine:
    return ENGINES["lm_eval" if case.startswith("lm_") else "lmms_eval"]


@pytest.fixture
def copy(tmp_path: Path) -> Callable[[str], Path]:
    """A function that copies a case, so that a test can change it."""
    return lambda case: Path(shutil.copytree(DATA / case, tmp_path / case))


REAL_METRICS = {
    "lmms_dummy": {
        Metric("digits_vqa", "acc", "none", 0.109375, 0.039322054350368486, 64, True, None, 0),
    },
    "lmms_async": {
        Metric("digits_vqa", "acc", "none", 0.96875, 0.021921011700381302, 64, True, None, 0),
    },
    "lm_dummy": {
        Metric("digits_text_mc", "acc", "none", 0.03125, 0.021921011700381302, 64, True, "1.0", 0),
        Metric("biology_qa", "exact_match", "none", 0.0, 0.0, 20, True, "1.0", 0),
    },
    "lm_chat": {
        Metric("biology_qa", "exact_match", "none", 0.1, 0.06882472016116853, 20, True, "1.0", 0),
    },
}


@pytest.mark.parametrize(("case", "metrics"), REAL_METRICS.items(), ids=REAL_METRICS.keys())
def test_the_metrics_are_those_of_the_harnesss_file(case: str, metrics: set[Metric]) -> None:
    found = read(case).metrics

    assert set(found) == metrics
    assert len(found) == len(metrics)


MODELS = {
    "lmms_dummy": ("dummy", "20261123_225137_results.json"),
    "lmms_async": ("digits-svc", "digits-svc/20261123_225227_results.json"),
    "lm_dummy": ("i82qcls7", "i82qcls7/results_2026-11-23T14-45-02.090153.json"),
    "lm_chat": ("digits-svc", "digits-svc/results_2026-11-23T15-14-04.785161.json"),
}


@pytest.mark.parametrize("case", MODELS)
def test_the_result_names_the_model_and_the_harnesss_file(case: str) -> None:
    model, file = MODELS[case]

    result = read(case).result

    assert {name: part["results"] for name, part in result.items()} == {
        model: str(DATA / case / file)
    }


@pytest.mark.parametrize("case", MODELS)
def test_the_result_lists_every_samples_file(case: str) -> None:
    (part,) = read(case).result.values()

    assert part["samples"] == sorted(str(path) for path in (DATA / case).rglob("*.jsonl"))


def test_the_result_has_every_value_of_a_task_under_the_harnesss_names() -> None:
    (part,) = read("lmms_dummy").result.values()

    assert part["metrics"] == {
        "digits_vqa": {
            "acc,none": 0.109375,
            "acc_stderr,none": 0.039322054350368486,
            "acc_stderr_clt,none": 0.039322054350368486,
        }
    }


NEWER = {
    "lmms_async": ("20261123_225227", "20261124_000000"),
    "lm_chat": ("2026-11-23T15-14-04.785161", "2026-11-24T00-00-00.000000"),
}


@pytest.mark.parametrize("case", NEWER)
def test_the_newest_of_several_results_files_is_used(
    copy: Callable[[str], Path], case: str
) -> None:
    output_dir = copy(case)
    newer = _add_later_run(output_dir, *NEWER[case], value=0.75)

    results = read(case, output_dir)

    assert [metric.value for metric in results.metrics] == [0.75]
    (part,) = results.result.values()
    assert part["results"] == str(newer)


@pytest.mark.parametrize("case", NEWER)
def test_samples_belong_to_the_results_file_with_the_same_timestamp(
    copy: Callable[[str], Path], case: str
) -> None:
    output_dir = copy(case)
    older, newer = NEWER[case]
    _add_later_run(output_dir, older, newer, value=0.75)
    for path in output_dir.rglob("*.jsonl"):
        shutil.copy(path, path.with_name(path.name.replace(older, newer)))

    (part,) = read(case, output_dir).result.values()

    assert [newer in path for path in part["samples"]] == [True]


def test_the_samples_of_a_task_with_a_misleading_name_are_found(
    copy: Callable[[str], Path],
) -> None:
    output_dir = copy("lmms_async")
    (samples,) = output_dir.rglob("*.jsonl")
    odd = samples.with_name("20261123_225227_samples_my_samples_of_results.jsonl")
    samples.rename(odd)

    (part,) = read("lmms_async", output_dir).result.values()

    assert part["samples"] == [str(odd)]


def test_every_model_folder_contributes_to_the_result(copy: Callable[[str], Path]) -> None:
    output_dir = copy("lmms_async")
    shutil.copytree(output_dir / "digits-svc", output_dir / "merged")

    assert list(read("lmms_async", output_dir).result) == ["digits-svc", "merged"]


NOT_A_METRIC = {
    "N/A": {"acc,none": "N/A"},
    "truth": {"acc,none": True},
    "null": {"acc,none": None},
    "a list": {"acc,none": [0.5]},
    "a count without a filter": {"sample_len": 64},
    "a standard error alone": {"acc_stderr,none": 0.1},
}


@pytest.mark.parametrize("values", NOT_A_METRIC.values(), ids=NOT_A_METRIC.keys())
def test_values_that_are_not_metrics_are_left_out(tmp_path: Path, values: Any) -> None:
    _write(tmp_path, {"odd": values, "task": {"acc,none": 1}})

    results = read("lmms", tmp_path)

    assert results.metrics == (Metric("task", "acc", "none", 1.0, None, None, None),)
    json.dumps(results.result, allow_nan=False)


@pytest.mark.parametrize("stderr", ["N/A", float("nan"), None])
def test_a_standard_error_that_is_not_a_number_is_none(tmp_path: Path, stderr: object) -> None:
    _write(tmp_path, {"task": {"acc,none": 0.5, "acc_stderr,none": stderr}})

    assert [metric.stderr for metric in read("lmms", tmp_path).metrics] == [None]


def test_one_metric_can_have_several_filters(tmp_path: Path) -> None:
    _write(tmp_path, {"gsm8k": {"exact_match,strict-match": 0.25, "exact_match,flexible": 0.5}})

    found = {(metric.filter, metric.value) for metric in read("lmms", tmp_path).metrics}

    assert found == {("strict-match", 0.25), ("flexible", 0.5)}


BROKEN: dict[str, tuple[str, str]] = {
    "cut off": ('{"results": {', "cannot be read"),
    "not UTF-8": ("\udcff", "cannot be read"),
    "a list": ("[]", "cannot be read, .*: it is not a JSON object"),
    "no results": ('{"config": {}}', "without results"),
    "half a character in a version": (
        '{"results": {"mme": {"acc,none": 1}}, "lmms_eval_version": "\\ud800"}',
        "cannot be kept",
    ),
    "nested": ("[" * 20_000, "cannot be read, .*: its arrays and objects are nested"),
    "a number of 400 digits": (
        f'{{"results": {{"mme": {{"acc,none": {"1" * 400}}}}}}}',
        "a number of 400 characters",
    ),
    "half a character": ('{"results": {"mme": {"\\ud800,none": 1}}}', "cannot be kept"),
}


@pytest.mark.parametrize(("text", "reason"), BROKEN.values(), ids=BROKEN.keys())
def test_an_invalid_results_file_has_no_results(tmp_path: Path, text: str, reason: str) -> None:
    file = tmp_path / "20260101_000000_results.json"
    file.write_text(text, errors="surrogateescape")

    with pytest.raises(NoResults, match=f"^wrote a results file .*{reason}"):
        read("lmms", tmp_path)


@pytest.mark.parametrize("case", ["lmms", "lm_"])
def test_an_empty_output_directory_has_no_results(tmp_path: Path, case: str) -> None:
    with pytest.raises(NoResults, match=r"^wrote no results file$"):
        read(case, tmp_path)


def test_a_missing_output_directory_has_no_results(tmp_path: Path) -> None:
    with pytest.raises(NoResults, match=r"^left no output directory .*/missing$"):
        read("lmms", tmp_path / "missing")


def _add_later_run(output_dir: Path, older: str, newer: str, value: float) -> Path:
    (first,) = output_dir.rglob("*.json")
    content = json.loads(first.read_text())
    for numbers in content["results"].values():
        numbers.update({key: value for key in numbers if key in ("acc,none", "exact_match,none")})
    second = first.with_name(first.name.replace(older, newer))
    second.write_text(json.dumps(content))
    return second


def _write(output_dir: Path, results: dict[str, Any]) -> None:
    content = {"results": results, "model_source": "m"}
    (output_dir / "20260101_000000_results.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("case", "reported"), [("lm_chat", {"harness_version": "0.4.13"}), ("lmms_async", {})]
)
def test_what_the_harness_reports_about_itself_is_kept(case: str, reported: dict[str, str]) -> None:
    assert read(case).reported == reported


def test_commit_and_gpus_are_kept_if_the_harness_writes_them(
    copy: Callable[[str], Path],
) -> None:
    place = copy("lm_chat")
    [file] = place.glob("*/results_*.json")
    torch = "CUDA used: 12\nGPU models and configuration: \nGPU 0: A\nGPU 1: B\n\nNvidia driver: 5"
    content = {**json.loads(file.read_text()), "git_hash": "abc", "pretty_env_info": torch}
    file.write_text(json.dumps(content))

    reported = read("lm_chat", place).reported

    assert (reported["git_commit"], reported["gpus"]) == ("abc", "GPU 0: A, GPU 1: B")


def test_a_sample_count_that_exceeds_the_column_is_left_out(tmp_path: Path) -> None:
    huge = 10**200
    numbers = {"acc,none": 0.5, "acc_stderr,none": 0.1}
    content = {"results": {"mme": numbers}, "n-samples": {"mme": {"effective": huge}}}
    (tmp_path / "20260101_000000_results.json").write_text(json.dumps(content))

    [metric] = read("lmms", tmp_path).metrics

    assert metric.n is None


def test_a_results_file_above_the_size_limit_is_reported(tmp_path: Path) -> None:
    with (tmp_path / "20260101_000000_results.json").open("wb") as file:
        file.truncate(MAX_RESULTS_BYTES + 1)

    with pytest.raises(NoResults, match=f"it has more than {MAX_RESULTS_BYTES} bytes"):
        read("lmms", tmp_path)


def test_a_results_file_with_too_many_values_is_not_parsed(tmp_path: Path) -> None:
    values = {str(number): number for number in range(MAX_RESULTS_VALUES // 2 + 1)}
    (tmp_path / "20260101_000000_results.json").write_text(json.dumps({"results": values}))

    with pytest.raises(NoResults, match=f"it has more than {MAX_RESULTS_VALUES} values"):
        read("lmms", tmp_path)


@pytest.mark.parametrize("name", ["20260101_000000_results.json", "model/20260101_results.json"])
def test_a_fifo_is_not_read_as_a_results_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "model").mkdir()
    os.mkfifo(tmp_path / name)

    with pytest.raises(NoResults, match=r"results\.json: it is a FIFO, not a regular file"):
        read("lmms", tmp_path)


def _findings(results: Results) -> dict[str | None, tuple[str, str]]:
    return {each.task: (each.code.value, each.message) for each in results.findings}


def _numbers(results: Results) -> Any:
    (part,) = results.result.values()
    return part["metrics"]


def test_a_split_that_only_makes_a_submission_file_has_no_score(tmp_path: Path) -> None:
    content = {"docvqa_val": {"anls,none": 0.5}, "docvqa_test": {"submission,none": None}}
    _write(tmp_path, content)

    results = read("lmms", tmp_path, ("docvqa_val", "docvqa_test"))

    assert _numbers(results) == {"docvqa_val": {"anls,none": 0.5}, "docvqa_test": {}}
    assert _findings(results) == {
        "docvqa_test": (
            "no_score",
            "No score: this split only makes a submission file, for an evaluation server",
        )
    }


SUBMISSIONS: dict[str, tuple[dict[str, Any], bool, bool]] = {
    "named so": ({"submission,none": None, "submission_stderr,none": "N/A"}, False, False),
    "another name": ({"Math_English,none": None}, False, True),
    "another name, and a file": ({"Math_English,none": None}, True, False),
    "not null": ({"submission,none": "N/A"}, False, True),
}


@pytest.mark.parametrize(
    ("values", "has_file", "expected"), SUBMISSIONS.values(), ids=SUBMISSIONS.keys()
)
def test_submissions_alone_need_no_number(
    tmp_path: Path, values: dict[str, Any], has_file: bool, expected: bool
) -> None:
    _write(tmp_path, {"task": values})
    if has_file:
        (tmp_path / "submissions").mkdir()
        (tmp_path / "submissions" / "task.json").write_text("[]")

    assert read("lmms", tmp_path).numbers_expected is expected


NOT_FINITE = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


@pytest.mark.parametrize(("name", "value"), NOT_FINITE.items(), ids=NOT_FINITE.keys())
@pytest.mark.parametrize("case", ["lmms", "lm_"])
def test_a_number_that_is_not_finite_is_null_and_named(
    tmp_path: Path, case: str, name: str, value: float
) -> None:
    file = "results_2026-01-01T00-00-00.000000" if case == "lm_" else "20260101_000000_results"
    content = {"results": {"a": {"acc,none": value}, "b": {"acc,none": 0.5}}}
    (tmp_path / f"{file}.json").write_text(json.dumps(content))

    results = read(case, tmp_path)

    assert [metric.task for metric in results.metrics] == ["b"]
    assert _numbers(results) == {"a": {"acc,none": None}, "b": {"acc,none": 0.5}}
    assert _findings(results) == {"a": ("not_finite", f"acc,none is {name}")}


TEXTS = {"0.8333333": 0.8333333, "1e-05": 1e-05, "-2": -2.0, ".5": 0.5, " 3. ": 3.0}


@pytest.mark.parametrize(("text", "value"), TEXTS.items())
def test_numbers_that_are_written_as_text_are_numbers(
    tmp_path: Path, text: str, value: float
) -> None:
    _write(tmp_path, {"mme": {"acc,none": text, "acc_stderr,none": text}})

    results = read("lmms", tmp_path)

    assert results.metrics == (Metric("mme", "acc", "none", value, value, None, None),)
    assert _numbers(results) == {"mme": {"acc,none": value, "acc_stderr,none": value}}


def test_nan_that_is_written_as_text_is_not_finite(tmp_path: Path) -> None:
    _write(tmp_path, {"mme": {"acc,none": "nan"}})

    assert _findings(read("lmms", tmp_path)) == {"mme": ("not_finite", "acc,none is NaN")}


@pytest.mark.parametrize("text", ["N/A", "", "1_000", "0x1", "tensor(0.5)", "٣", "1" * 200])
def test_other_texts_are_no_numbers(tmp_path: Path, text: str) -> None:
    _write(tmp_path, {"mme": {"acc,none": text}})

    results = read("lmms", tmp_path)

    assert results.metrics == ()
    assert [each.code.value for each in results.findings] == ["no_score"]


def test_a_metric_that_is_null_beside_others_is_named(tmp_path: Path) -> None:
    _write(tmp_path, {"llava": {"acc,none": 0.5, "judge,none": None, "submission,none": None}})

    assert _findings(read("lmms", tmp_path)) == {
        "llava": ("no_score", "No score: judge,none is null")
    }


@pytest.mark.parametrize("case", ["lmms", "lm_"])
def test_the_placeholder_of_predict_only_is_no_metric(tmp_path: Path, case: str) -> None:
    file = "results_2026-01-01T00-00-00.000000" if case == "lm_" else "20260101_000000_results"
    content = {"results": {"mme": {"bypass,none": 999, "bypass_stderr,none": "N/A"}}}
    (tmp_path / f"{file}.json").write_text(json.dumps(content))
    request = EvaluateRequest("model", ("mme",), predict_only=True)
    paths = Paths(tmp_path.parent, tmp_path, tmp_path)

    results = _engine(case).read_results(request, paths)

    assert (results.metrics, _numbers(results)) == ((), {"mme": {}})
    assert (results.findings, results.numbers_expected) == ((), False)


def test_the_placeholder_beside_a_metric_is_left_out(tmp_path: Path) -> None:
    _write(tmp_path, {"aime": {"exact_match,none": 0.5, "bypass,none": 999}})

    results = read("lmms", tmp_path)

    assert _numbers(results) == {"aime": {"exact_match,none": 0.5}}
    assert results.findings == ()


def test_half_a_character_in_a_value_does_not_withhold_the_numbers(tmp_path: Path) -> None:
    _write(tmp_path, {"a": {"acc,none": "\ud800"}, "b": {"acc,none": 0.5}})

    results = read("lmms", tmp_path)

    assert [metric.task for metric in results.metrics] == ["b"]
    json.dumps([each.message for each in results.findings], ensure_ascii=False).encode()
