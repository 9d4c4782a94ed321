"""Series: the evaluations of one training run, each of a checkpoint of some step.

The request fields ``series`` and ``step`` say so. Labels of these names, which clients used before
there were such fields, are taken over.
"""

from collections.abc import Mapping
from typing import Any

from evalserver.core.request import MAX_STEP, SUPERSEDE, EvaluateRequest

SERIES, STEP = "series", "step"

PREVIOUS, BEST = "previous", "best"
"""The step before a job's, and the best one of all before: what it may be compared with."""

MAX_DIGITS = len(str(MAX_STEP))


def fields_of_labels(labels: Mapping[str, str]) -> dict[str, Any]:
    """Return the values that labels have for the fields ``series`` and ``step``: a text that is not
    empty, and an integer as text."""
    if not labels:
        return {}
    step = parse_step(labels.get(STEP, ""))
    return {
        **({SERIES: labels[SERIES]} if labels.get(SERIES) else {}),
        **({} if step is None else {STEP: step}),
    }


def missing_fields(request: EvaluateRequest) -> dict[str, Any]:
    """Return the fields that a request lacks and its labels have."""
    found = fields_of_labels(request.labels)
    return {name: value for name, value in found.items() if getattr(request, name) is None}


def series_faults(request: EvaluateRequest) -> dict[str, str]:
    """Return what a request, with the fields of its labels, lacks for what it asks of its series:
    the fields, with a sentence for each."""
    if request.on_newer == SUPERSEDE and (request.series is None or request.step is None):
        return {"on_newer": "Needs series and step: without them no job is older than this one."}
    return {}


def parse_step(text: str) -> int | None:
    """Return a step that is written as a text; None if it is not an integer within bounds."""
    is_number = len(text) <= MAX_DIGITS and text.isascii() and text.isdigit()
    return int(text) if is_number and int(text) <= MAX_STEP else None
