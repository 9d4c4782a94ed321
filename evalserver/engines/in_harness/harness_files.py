"""Results and samples that lmms-eval and lm-eval save whatever the answers and names are.

Both save with the same code (``loggers/evaluation_tracker.py``). As it comes,

* an answer with a lone surrogate cannot be written, and neither are all samples after it. Here it
  is written as JSON's escape, ``\\ud800``, which reads back as the same answer.
* the folder is named after the model. A path of more than 255 bytes is no file name, so nothing is
  saved. Here the folder has the end of such a name.
"""

import builtins
import importlib
import sys
from typing import Any

MAX_NAME_BYTES = 200
"""Of the 255 that file systems take."""


def save_always(package: str) -> None:
    """Have the harness save what it would not, as far as it saves by the code known here."""
    # Harnesses and tasks print answers, too.
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        tracker: Any = importlib.import_module(f"{package}.loggers.evaluation_tracker")
    except ImportError:
        return
    tracker.open = open_for_any_text
    sanitize = getattr(tracker, "sanitize_model_name", None)
    if sanitize is not None:
        tracker.sanitize_model_name = lambda *args, **options: shorten(sanitize(*args, **options))


def open_for_any_text(file: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
    """Open a file like the built-in; text that has no encoding is written with backslashes."""
    if "b" not in mode and len(args) < 3:  # the third would be ``errors``
        options.setdefault("errors", "backslashreplace")
    return builtins.open(file, mode, *args, **options)  # noqa: PTH123 - or a descriptor


def shorten(name: str) -> str:
    """Return a name of a folder; the end of a name that is too long."""
    encoded = name.encode(errors="replace")
    if len(encoded) <= MAX_NAME_BYTES:
        return name
    return encoded[-MAX_NAME_BYTES:].decode(errors="ignore")
