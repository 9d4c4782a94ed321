"""The questions and the scoring of the lmms-eval task ``digits_vqa``."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

QUESTION = "Which digit does the image show? Answer with one digit."

# A single digit: "17" is neither 1 nor 7.
DIGIT = re.compile(r"(?<!\d)\d(?!\d)", re.ASCII)


def doc_to_visual(doc: Mapping[str, Any]) -> list[Any]:
    """Return the image of a question as the harness expects it: a list of RGB pictures."""
    return [doc["image"].convert("RGB")]


def doc_to_text(doc: Mapping[str, Any]) -> str:
    """Return the text of a question, which is the same for every image."""
    return QUESTION


def process_results(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, float]:
    """Score 1 if the first digit in the model's response is the image's label, otherwise 0."""
    found = DIGIT.search(results[0])
    return {"acc": float(found is not None and int(found.group()) == doc["label"])}
