"""What tells the documents of samples apart: hashes of their questions and targets.

Two files number the same documents differently if one was filtered or shuffled, or if different
harnesses wrote them. Prompts differ, too, so each text that may be the question counts.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from evalserver.outputs.scores import DOCUMENT_HASH

QUESTION_KEYS = ("question", "input", "query", "problem", "prompt", "instruction", "text")
"""Keys of a sample, or of the document in it, under which harnesses write a question."""
MAX_QUESTIONS = 3
"""Texts of a sample that may be its question."""

NONE = 0
"""In place of a hash of something that a sample does not have."""


@dataclass(frozen=True)
class DocumentKeys:
    """Hashes of a sample: of its id, of its document as the harness hashed it, of the texts that
    may be its question, and of its target. Samples of different epochs have different ones."""

    id: int
    document: int
    questions: tuple[int, ...]
    target: int


def find_keys(values: Mapping[str, Any], doc_id: int | str) -> DocumentKeys:
    """Return the keys of a sample."""
    epoch = values.get("epoch")
    epoch = epoch if isinstance(epoch, int) else 1
    document = values.get(DOCUMENT_HASH)
    target = _plain_text(values.get("target"))
    texts = dict.fromkeys(filter(None, map(_normalize, _questions(values))))
    return DocumentKeys(
        id=hash_of(str(doc_id), epoch),
        document=hash_of(document, epoch) if isinstance(document, str) else NONE,
        questions=tuple(hash_of(text, epoch) for text in list(texts)[:MAX_QUESTIONS]),
        target=hash_of(_normalize(target)) if target else NONE,
    )


def hash_of(*values: str | int) -> int:
    """Return a hash of the values that is not NONE, the same within this process."""
    return hash(values) or 1


def _questions(values: Mapping[str, Any]) -> Iterator[str]:
    for place in (values.get("doc"), values):
        if isinstance(place, Mapping):
            for name in QUESTION_KEYS:
                yield _plain_text(place.get(name))
    yield from _prompts(values.get("arguments"))


def _prompts(arguments: Any) -> Iterator[str]:
    """Yield the prompt of the first request in lm-eval's samples."""
    first = next(iter(arguments.values()), None) if isinstance(arguments, Mapping) else None
    if isinstance(first, Mapping):
        yield _plain_text(first.get("arg_0"))


def _plain_text(value: Any) -> str:
    """Return a text, or that of the last message of a conversation; empty for anything else."""
    if isinstance(value, list) and value:
        return _plain_text(value[-1])
    if isinstance(value, Mapping):
        return _plain_text(value.get("content", value.get("text")))
    return str(value) if isinstance(value, str | int | float) else ""


def _normalize(text: str) -> str:
    return " ".join(text.split()).casefold()
