"""A real vision model and its task for the real lmms-eval: scikit-learn's digits (``digits/``)."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.real_harness import interpreter, offline_environment
from tests.support import WAIT_SECONDS

DIGITS = Path(__file__).with_name("digits")


def make_digits_task(place: Path, cache: Path) -> None:
    """Write the task ``digits_vqa`` and its images into a directory."""
    command = [str(interpreter("lmms-eval")), str(DIGITS / "make_dataset.py"), str(place)]
    subprocess.run(command, env=offline_environment(cache), check=True, capture_output=True)


@contextmanager
def serving_digits(*options: str) -> Iterator[str]:
    """The model, served at a URL for the length of the block."""
    process = subprocess.Popen(
        [str(interpreter("lmms-eval")), str(DIGITS / "endpoint.py"), *options],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        word, url = process.stdout.readline().split()
        assert word == "READY"
        yield url
    finally:
        process.terminate()
        process.communicate(timeout=WAIT_SECONDS)
