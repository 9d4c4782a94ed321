"""Counting failed requests to a model in the output of lmms-eval."""

import json
import os
from pathlib import Path

import pytest

from evalserver.engines.failed_requests import (
    MAX_BYTES,
    MAX_PIECE_BYTES,
    FailedRequests,
    count_in_log,
    count_in_samples,
)
from evalserver.system.untrusted_files import UnreadableFile, UntrustedDirectory

DATA = Path(__file__).parent / "data"


def count(output_dir: Path) -> FailedRequests:
    """Return the counts of all samples files in a directory."""
    files = [str(each.relative_to(output_dir)) for each in output_dir.rglob("*.jsonl")]
    return count_in_samples(UntrustedDirectory.for_attempt(output_dir), files)


FAILURE = "[LMMS_EVAL_REQUEST_FAILED after 1 retries] Connection error."


def test_with_an_unreachable_endpoint_every_request_failed() -> None:
    assert count(DATA / "lmms_dead") == FailedRequests(4, 4, FAILURE)


def test_in_a_successful_run_no_request_failed() -> None:
    assert count(DATA / "lmms_async") == FailedRequests(0, 2)


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
def test_a_sample_counts_once_by_the_models_response(
    tmp_path: Path, sample: dict[str, object], failed: int
) -> None:
    file = tmp_path / "samples.jsonl"
    file.write_text(json.dumps(sample) + "\n")

    assert count(tmp_path).failed == failed


def test_a_truncated_line_is_not_counted_as_failed(tmp_path: Path) -> None:
    file = tmp_path / "samples.jsonl"
    file.write_text('{"filtered_resps": "' + FAILURE)

    assert count(tmp_path) == FailedRequests(0, 1)


def test_without_samples_the_log_is_used(tmp_path: Path) -> None:
    log = tmp_path / "eval.log"
    log.write_text(
        "Attempt 1/2 failed for request 0\n"
        "ERROR - All 2 attempts failed. Last error: Connection error.\n"
        "ERROR - All 2 attempts failed. Last error: Connection error.\n"
    )

    assert count_in_log(tmp_path, of=8).share == 0.25


def test_without_a_log_nothing_failed(tmp_path: Path) -> None:
    assert count_in_log(tmp_path, of=8) == FailedRequests(0, 8)


def test_the_share_of_no_requests_is_zero() -> None:
    assert FailedRequests(0, 0).share == 0.0


def test_a_line_of_many_megabytes_counts_once(tmp_path: Path) -> None:
    (tmp_path / "samples.jsonl").write_text(
        f'{{"input": "{"x" * 3 * MAX_PIECE_BYTES}", "resps": [["{FAILURE}"], ["{FAILURE}"]]}}\n'
        '{"resps": "x"}\n'
    )

    assert count(tmp_path) == FailedRequests(1, 2, FAILURE)


def test_a_marker_across_two_pieces_of_a_line_is_found(tmp_path: Path) -> None:
    begins = '{"input": "'
    ends = '", "resps": ["'
    padding = "x" * (MAX_PIECE_BYTES - len(begins) - len(ends) - 10)
    (tmp_path / "samples.jsonl").write_text(f'{begins}{padding}{ends}{FAILURE}"]}}\n')

    assert count(tmp_path).failed == 1


def test_a_fifo_is_not_read_as_a_samples_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "samples.jsonl")

    with pytest.raises(UnreadableFile, match=r"samples\.jsonl: it is a FIFO"):
        count(tmp_path)


def test_a_file_above_the_size_limit_is_rejected(tmp_path: Path) -> None:
    with (tmp_path / "samples.jsonl").open("wb") as file:
        file.truncate(MAX_BYTES + 1)

    with pytest.raises(UnreadableFile, match=f"more than the {MAX_BYTES} that are read"):
        count(tmp_path)
