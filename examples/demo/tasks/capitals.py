"""Data and metric of the task ``capitals``."""

import json
import re
import unicodedata
from pathlib import Path
from typing import Any

import datasets

DATA = Path(__file__).with_name("capitals.jsonl")


def load(**_metadata: Any) -> dict[str, datasets.Dataset]:
    """Load the questions from ``capitals.jsonl``."""
    lines = DATA.read_text(encoding="utf-8").splitlines()
    return {"test": datasets.Dataset.from_list([json.loads(line) for line in lines])}


def process_results(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """Return 1 if the answer contains one of the capital's names as a word, else 0."""
    said = plain(results[0])
    right = any(re.search(rf"\b{re.escape(plain(name))}\b", said) for name in doc["capital"])
    return {"acc": float(right)}


def plain(text: str) -> str:
    """Return the text in lower case without accents."""
    letters = unicodedata.normalize("NFKD", text)
    return "".join(each for each in letters if not unicodedata.combining(each)).lower()
