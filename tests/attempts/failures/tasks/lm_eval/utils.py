"""Code of a lab's own tasks."""

from typing import Any

from datasets import Dataset


def documents(**_kwargs: Any) -> dict[str, Dataset]:
    """The documents of every split."""
    return {"test": Dataset.from_list([{"q": "1 + 1 =", "a": "2"}])}


def score(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """Return whether the answer is right; fails for most answers."""
    return {"acc": {"2": 1.0}[results[0]]}
