"""The data of the task ``capitals``, and how an answer is judged."""

import json
import re
import unicodedata
from pathlib import Path
from typing import Any

import datasets

DATA = Path(__file__).with_name("capitals.jsonl")


def load(**_metadata: Any) -> dict[str, datasets.Dataset]:
    """The questions, from the file beside this one."""
    lines = DATA.read_text(encoding="utf-8").splitlines()
    return {"test": datasets.Dataset.from_list([json.loads(line) for line in lines])}


def process_results(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """1 if one of the capital's names is in the answer as a word, whatever is around it."""
    said = plain(results[0])
    right = any(re.search(rf"\b{re.escape(plain(name))}\b", said) for name in doc["capital"])
    return {"acc": float(right)}


def plain(text: str) -> str:
    """The text in lower case, without accents."""
    letters = unicodedata.normalize("NFKD", text)
    return "".join(each for each in letters if not unicodedata.combining(each)).lower()
