"""Any 100 KB of text from a harness or a client are parsed in linear time."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from marshmallow import ValidationError

from evalserver.core.masking import contains_secret, find_secrets, is_secret_name, mask_text
from evalserver.core.plain_text import plain_text
from evalserver.engines.bars import find_bars
from evalserver.engines.failed_requests import MARK, count_in_log, count_in_samples
from evalserver.engines.logs import cause, tail
from evalserver.engines.patterns import MAX_PROGRAM_SIZE, PatternReader
from evalserver.engines.progress import TqdmReader
from evalserver.engines.requested import read_task_name
from evalserver.engines.results import GPUS
from evalserver.runner.output import Mask
from evalserver.system.untrusted_files import UntrustedDirectory
from evalserver.web.schemas.fields import Text

CHARACTERS = 100_000
MAX_CPU_S = 2.0
"""Linear parsing takes up to 0.05 s; quadratic parsing of 100 KB takes minutes."""

UNITS = [
    "a", "1", "1,", "1.", "a.", " ", "\n", "\r", "a\r", "é", '"', "\\",
    "1% Completed | 1/4 [", "1% a ", "(a pid=1) ", "(EngineCore pid=",
    "1%|", "1%|a|1/1 [", "1%|a|1/1 [00:00<", "1 a", "1 a [00:00", "Running a",
    "evalserver: asking for answers 1",
    "\x1b", "\x1b[", "\x1b]", "\x1b]a\x1b", "\x1b[0;",
    "://", "://a:", "key=", "token = ", "key: bearer ", "sk-", "hf_", "evs_", "aA", "<", "[",
    "Error", "a.Error", "ErrorError\n", "All a", MARK, f'"{MARK}', f"{MARK}\n",
    f'{{"resps": ["{MARK}"]}}\n',
    "GPU models and configuration: ", "GPU models and configuration: GPU 1: a\n", "GPU 1: a",
    "task:", "group: \t", "\ntask: '",
]  # fmt: skip

COSTLIEST_PATTERN = "(?:[a-z]{1,25}-?){1,8}(?P<done>[0-9]+)"
"""Nested counted repetitions of the maximum allowed size."""

READERS: dict[str, Callable[[str, Path], object]] = {
    "progress bars": lambda text, _: list(find_bars(text)),
    "progress": lambda text, _: TqdmReader().read(text.encode()),
    "progress by a pattern": lambda text, _: PatternReader(COSTLIEST_PATTERN).read(text.encode()),
    "plain text": lambda text, _: plain_text(text.encode()),
    "cause": lambda text, _: cause(text),
    "tail": lambda _, folder: tail(folder),
    "failed requests in samples": lambda _, folder: count_in_samples(
        UntrustedDirectory.for_attempt(folder), ["eval.log"]
    ),
    "failed requests in the log": lambda _, folder: count_in_log(folder, 1),
    "masking": lambda text, _: mask_text(text),
    "masking by shape": lambda text, _: contains_secret(text),
    "masking by name": lambda text, _: is_secret_name(text),
    "secrets of a request": lambda text, _: find_secrets({"api_key": "short", "url": text}),
    "masking the output": lambda text, _: Mask([b"a" * 12 + b"b", b"a" * 900], bytes).feed(
        text.encode()
    ),
    "GPUs": lambda text, _: GPUS.search(text),
    "task files": lambda _, folder: read_task_name(folder / "eval.log"),
    "fields": lambda text, _: _parse_field(text),
}


@pytest.mark.parametrize("reader", READERS)
def test_malicious_text_is_parsed_in_linear_time(reader: str, tmp_path: Path) -> None:
    folder = tmp_path / "job" / "attempt"
    folder.mkdir(parents=True)
    slow = {}
    for unit in UNITS:
        text = f"{unit * (CHARACTERS // len(unit))}!"
        (folder / "eval.log").write_text(text)
        started = time.thread_time()
        READERS[reader](text, folder)
        if (seconds := time.thread_time() - started) > MAX_CPU_S:
            slow[unit] = seconds

    assert slow == {}


def test_a_pattern_with_too_many_nested_repetitions_is_rejected() -> None:
    with pytest.raises(ValueError, match=f"more than {MAX_PROGRAM_SIZE}"):
        PatternReader(r"(?:[a-z]{1,100}-?){1,9}(?P<done>\d+)")


def _parse_field(text: str) -> None:
    with suppress(ValidationError):
        Text(longest=CHARACTERS).deserialize(text)
