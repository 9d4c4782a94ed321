"""What our launchers have lmms-eval and lm-eval save, whatever the answers and names are."""

import json
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest

from evalserver.engines.in_harness import harness_files, lmms_eval_cache, lmms_eval_exact
from evalserver.engines.in_harness.harness_files import open_for_any_text, shorten

LONG = "out/" + "lr=0.1,wd=[1,2]," * 30 + "/ckpt-500"


def test_an_answer_with_a_lone_surrogate_is_written_as_json_that_reads_back(
    tmp_path: Path,
) -> None:
    sample = {"resps": ["x\\\ud800y", "\u65e5"]}

    with open_for_any_text(tmp_path / "samples.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps(sample, ensure_ascii=False))

    assert json.loads((tmp_path / "samples.jsonl").read_text(encoding="utf-8")) == sample


def test_bytes_are_written_as_they_are(tmp_path: Path) -> None:
    with open_for_any_text(tmp_path / "image.png", "wb") as file:
        file.write(b"\xff")

    assert (tmp_path / "image.png").read_bytes() == b"\xff"


@pytest.mark.parametrize("name", [LONG, "\u65e5" * 200, "x" * 256])
def test_a_name_that_is_too_long_for_a_folder_keeps_its_end(tmp_path: Path, name: str) -> None:
    name = name.replace("/", "__")

    short = shorten(name)
    (tmp_path / short).mkdir()

    assert name.endswith(short)


def test_a_name_that_fits_is_not_changed() -> None:
    assert shorten("lmms-lab__llava") == "lmms-lab__llava"


TRACKER = """
def sanitize_model_name(name):
    return name.replace("/", "__")


def save(folder, text):
    with open(folder / "samples.jsonl", "a", encoding="utf-8") as file:
        file.write(text)


class GeneralConfigTracker:
    @staticmethod
    def _get_model_name(model_args):
        return model_args.split("pretrained=")[1].split(",")[0]
"""


@pytest.fixture
def tracker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A module that saves as that of lmms-eval does."""
    loggers = tmp_path / "lmms_eval" / "loggers"
    loggers.mkdir(parents=True)
    (loggers / "evaluation_tracker.py").write_text(TRACKER)
    monkeypatch.syspath_prepend(tmp_path)
    with patch.dict(sys.modules):
        yield import_module("lmms_eval.loggers.evaluation_tracker")


def test_the_harness_saves_samples_with_a_lone_surrogate(
    tracker: ModuleType, tmp_path: Path
) -> None:
    harness_files.save_always("lmms_eval")

    tracker.save(tmp_path, '{"resps": "\ud800"}\n{}\n')

    assert (tmp_path / "samples.jsonl").read_text() == '{"resps": "\\ud800"}\n{}\n'


def test_the_harness_names_a_folder_by_the_end_of_a_long_path(tracker: ModuleType) -> None:
    harness_files.save_always("lmms_eval")

    assert tracker.sanitize_model_name(LONG) == LONG.replace("/", "__")[-200:]


def test_a_harness_that_saves_otherwise_is_left_alone() -> None:
    harness_files.save_always("no_such_harness")


def test_a_model_with_encoded_arguments_keeps_its_name(tracker: ModuleType) -> None:
    lmms_eval_exact.name_models()

    text = f"pretrained={lmms_eval_exact.encode(LONG)},dtype=auto"
    assert tracker.GeneralConfigTracker._get_model_name(text) == LONG


def test_a_name_that_is_not_encoded_is_not_changed(tracker: ModuleType) -> None:
    lmms_eval_exact.name_models()

    name = tracker.GeneralConfigTracker._get_model_name("pretrained=org/model,dtype=auto")
    assert name == "org/model"


def test_the_cache_keeps_an_answer_with_a_lone_surrogate_in_ascii() -> None:
    module = SimpleNamespace(
        _serialize_response=lambda response: json.dumps(response, ensure_ascii=False)
    )

    lmms_eval_cache._keep_any_text(module)

    assert module._serialize_response("\ud800") == '"\\ud800"'
    assert module._serialize_response("\u65e5") == '"\u65e5"'


def test_the_cache_finds_a_question_with_a_lone_surrogate_again() -> None:
    def content_hash(instance: Any) -> str:
        return str(hash(instance.args[0].encode()))

    module = SimpleNamespace(_extract_content_hash=content_hash)

    lmms_eval_cache._keep_any_text(module)

    first, again, other = (
        module._extract_content_hash(SimpleNamespace(args=(text, len)))
        for text in ("a\ud800", "a\ud800", "b\ud800")
    )
    assert first == again != other
