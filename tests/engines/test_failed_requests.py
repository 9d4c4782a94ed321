"""Counting the requests to a model that failed, in what lmms-eval leaves behind."""

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
    """What is counted in all samples files of a directory."""
    files = [str(each.relative_to(output_dir)) for each in output_dir.rglob("*.jsonl")]
    return count_in_samples(UntrustedDirectory.for_attempt(output_dir), files)


FAILURE = "[LMMS_EVAL_REQUEST_FAILED after 1 retries] Connection error."


def test_a_dead_endpoint_failed_every_request() -> None:
    assert count(DATA / "lmms_dead") == FailedRequests(4, 4, FAILURE)


def test_a_good_run_failed_none() -> None:
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
def test_a_sample_counts_once_and_by_what_the_model_said(
    tmp_path: Path, sample: dict[str, object], failed: int
) -> None:
    file = tmp_path / "samples.jsonl"
    file.write_text(json.dumps(sample) + "\n")

    assert count(tmp_path).failed == failed


def test_a_line_that_is_cut_off_is_not_counted_as_failed(tmp_path: Path) -> None:
    file = tmp_path / "samples.jsonl"
    file.write_text('{"filtered_resps": "' + FAILURE)

    assert count(tmp_path) == FailedRequests(0, 1)


def test_without_samples_the_log_tells(tmp_path: Path) -> None:
    log = tmp_path / "eval.log"
    log.write_text(
        "Attempt 1/2 failed for request 0\n"
        "ERROR - All 2 attempts failed. Last error: Connection error.\n"
        "ERROR - All 2 attempts failed. Last error: Connection error.\n"
    )

    assert count_in_log(tmp_path, of=8).share == 0.25


def test_without_a_log_nothing_failed(tmp_path: Path) -> None:
    assert count_in_log(tmp_path, of=8) == FailedRequests(0, 8)


def test_nothing_of_nothing_is_no_share() -> None:
    assert FailedRequests(0, 0).share == 0.0


def test_a_line_of_many_megabytes_counts_once(tmp_path: Path) -> None:
    (tmp_path / "samples.jsonl").write_text(
        f'{{"input": "{"x" * 3 * MAX_PIECE_BYTES}", "resps": [["{FAILURE}"], ["{FAILURE}"]]}}\n'
        '{"resps": "x"}\n'
    )

    assert count(tmp_path) == FailedRequests(1, 2, FAILURE)


def test_a_mark_between_two_pieces_of_a_line_is_found(tmp_path: Path) -> None:
    begins = '{"input": "'
    ends = '", "resps": ["'
    padding = "x" * (MAX_PIECE_BYTES - len(begins) - len(ends) - 10)
    (tmp_path / "samples.jsonl").write_text(f'{begins}{padding}{ends}{FAILURE}"]}}\n')

    assert count(tmp_path).failed == 1


def test_a_fifo_is_no_samples_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "samples.jsonl")

    with pytest.raises(UnreadableFile, match=r"samples\.jsonl: it is a FIFO"):
        count(tmp_path)


def test_more_bytes_than_are_read_are_refused(tmp_path: Path) -> None:
    with (tmp_path / "samples.jsonl").open("wb") as file:
        file.truncate(MAX_BYTES + 1)

    with pytest.raises(UnreadableFile, match=f"more than the {MAX_BYTES} that are read"):
        count(tmp_path)
