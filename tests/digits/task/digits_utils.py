"""What the lmms-eval task ``digits_vqa`` asks about an image, and how it judges the answer."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

QUESTION = "Which digit does the image show? Answer with one digit."

# A digit on its own: "17" is neither the answer 1 nor the answer 7.
DIGIT = re.compile(r"(?<!\d)\d(?!\d)", re.ASCII)


def doc_to_visual(doc: Mapping[str, Any]) -> list[Any]:
    """The image of a question, as the harness wants it: a list of pictures in RGB."""
    return [doc["image"].convert("RGB")]


def doc_to_text(doc: Mapping[str, Any]) -> str:
    """The text of a question, which is the same for every image."""
    return QUESTION


def process_results(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, float]:
    """1 where the first digit in the model's text is the image's label, 0 otherwise."""
    found = DIGIT.search(results[0])
    return {"acc": float(found is not None and int(found.group()) == doc["label"])}
