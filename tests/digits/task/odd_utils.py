"""Aggregations of tasks about digits whose results are odd."""

import atexit
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from lmms_eval.tasks._task_utils.file_utils import generate_submission_file


def process_results(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, str]:
    """Keep the model's response, for a submission file."""
    return {"submission": results[0]}


def write_submission(results: Sequence[str], args: Any) -> None:
    """Write a submission file, as lmms-eval's tasks for evaluation servers do."""
    Path(generate_submission_file("digits_submission.json", args)).write_text(json.dumps(results))


def score_with_label(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, Any]:
    """Score with the field by which documents are clustered, as lmms-eval's tasks about videos."""
    return {"acc": {"score": float(results[0] == str(doc["label"])), "label": doc["label"]}}


def mean_of_scores(results: Sequence[Mapping[str, Any]]) -> float:
    """Return the mean of scores that are part of an object."""
    return float(np.mean([each["score"] for each in results]))


def mean_float32(results: Sequence[float]) -> Any:
    """Return a number that lmms-eval writes as text."""
    return np.float32(np.mean(results))


def nan(results: Sequence[float]) -> float:
    """Return what the mean of a diverged model's losses is."""
    return float("nan")


def mean_and_abort(results: Sequence[float]) -> float:
    """Return the mean, and have the process abort at its exit."""
    atexit.register(os.abort)
    return float(np.mean(results))
