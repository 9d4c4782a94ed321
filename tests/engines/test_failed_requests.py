"""Counting the requests to a model that failed, in what lmms-eval leaves behind."""

import json
from pathlib import Path

import pytest

from evalserver.engines.failed_requests import FailedRequests, count_in_log, count_in_samples

DATA = Path(__file__).parent / "data"
FAILURE = "[LMMS_EVAL_REQUEST_FAILED after 1 retries] Connection error."


def test_a_dead_endpoint_failed_every_request() -> None:
    assert count_in_samples(DATA.glob("lmms_dead/**/*.jsonl")) == FailedRequests(4, 4, FAILURE)


def test_a_good_run_failed_none() -> None:
    assert count_in_samples(DATA.glob("lmms_async/**/*.jsonl")) == FailedRequests(0, 2)


@pytest.mark.parametrize(
    ("sample", "failed"),
    [
        ({"filtered_resps": FAILURE}, 1),
        ({"filtered_resps": ["x"], "resps": [["x", FAILURE]]}, 1),
        ({"filtered_resps": [FAILURE, FAILURE]}, 1),
        ({"filtered_resps": f"It said {FAILURE}"}, 0),
        ({"filtered_resps": "x", "input": FAILURE}, 0),
    ],
)
def test_a_sample_counts_once_and_by_what_the_model_said(
    tmp_path: Path, sample: dict[str, object], failed: int
) -> None:
    file = tmp_path / "samples.jsonl"
    file.write_text(json.dumps(sample) + "\n")

    assert count_in_samples([file]).failed == failed


def test_a_line_that_is_cut_off_is_not_counted_as_failed(tmp_path: Path) -> None:
    file = tmp_path / "samples.jsonl"
    file.write_text('{"filtered_resps": "' + FAILURE)

    assert count_in_samples([file]) == FailedRequests(0, 1)


def test_without_samples_the_log_tells(tmp_path: Path) -> None:
    log = tmp_path / "eval.log"
    log.write_text(
        "Attempt 1/2 failed for request 0\n"
        "ERROR - All 2 attempts failed. Last error: Connection error.\n"
        "ERROR - All 2 attempts failed. Last error: Connection error.\n"
    )

    assert count_in_log(log, of=8).share == 0.25


def test_without_a_log_nothing_failed(tmp_path: Path) -> None:
    assert count_in_log(tmp_path / "eval.log", of=8) == FailedRequests(0, 8)


def test_nothing_of_nothing_is_no_share() -> None:
    assert FailedRequests(0, 0).share == 0.0
