"""Runs on a node, for ``evalserver doctor``: says hello through the shared directory.

Its working directory is that of the hello job. It knows the standard library alone, and needs
Python 3.6 only: it reports the version of one that is too old for the runner.
"""

import json
import os
import socket
import sys
import time
from pathlib import Path
from typing import Any

QUESTION, HELLO, REPLY, HEARD = "question.json", "hello.json", "reply", "heard.json"
PAUSE_SECONDS = 0.05


def main() -> None:
    """Answer the question, then wait for the reply, and say when it was seen."""
    question = json.loads(Path(QUESTION).read_text())
    hello = {
        "nonce": question["nonce"],
        "host": socket.gethostname(),
        "python": list(sys.version_info[:3]),
        "uid": os.getuid(),
        "gpus": os.environ.get("CUDA_VISIBLE_DEVICES"),
        "has": [_has(kind, path) for kind, path in question["needs"]],
    }
    _write(HELLO, dict(hello, written_at=time.time()))
    _write(HEARD, {"reply_seen_at": _wait_for_reply(question["patience_s"])})


def _has(kind: str, path: str) -> bool:
    if kind == "directory":
        return Path(path).is_dir()
    return Path(path).is_file() and os.access(path, os.X_OK)


def _wait_for_reply(patience_s: float) -> "float | None":
    end = time.monotonic() + patience_s
    # The runner looks for a cancel in the same way.
    while REPLY not in os.listdir():  # noqa: PTH208
        if time.monotonic() > end:
            return None
        time.sleep(PAUSE_SECONDS)
    return time.time()


def _write(name: str, value: "dict[str, Any]") -> None:
    """Write a file that is there with its whole content, or not at all."""
    draft = Path(name + ".new")
    draft.write_text(json.dumps(value))
    draft.rename(name)


if __name__ == "__main__":
    main()
