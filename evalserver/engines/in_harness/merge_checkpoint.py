"""Merges a checkpoint with lmms-engine's merger, unless that was done before.

Started by its path, in the interpreter of lmms-engine, where nothing of evalserver is installed.
Beside the merged checkpoint it leaves a note: what the shards were, and what came of them. Where
the note still holds, nothing is merged again.
"""

import argparse
import fcntl
import json
import os
import stat
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

NOTE = ".evalserver-merge.json"
LOCK = ".evalserver-merge.lock"
WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
"""What a merged checkpoint may have its weights in; what training leaves beside is none."""
CONFIG = "config.json"

MAX_NOTE_BYTES = 16 * 1024 * 1024

SIGNAL_BASE = 128

State = list[list[Any]]
"""Name, size and time of each file of a folder."""


def main() -> int:
    """Merge; returns the exit code, which is that of the merger if it failed."""
    given = _arguments()
    given.output_path.mkdir(parents=True, exist_ok=True)
    # Two servers may merge into one folder; the second finds the work of the first.
    with (given.output_path / LOCK).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _merge(given)


def state_of(folder: Path) -> State:
    """What is in a folder itself, but for what is ours."""
    if not folder.is_dir():
        return []
    files = [each for each in sorted(folder.iterdir()) if each.is_file()]
    return [
        [each.name, each.stat().st_size, each.stat().st_mtime_ns]
        for each in files
        if each.name not in (NOTE, LOCK)
    ]


def weights_in(folder: Path) -> State:
    """The files with weights that are in a folder itself."""
    return [
        each for each in state_of(folder) if any(fnmatchcase(each[0], name) for name in WEIGHTS)
    ]


def was_merged(shards: Path, output_path: Path) -> bool:
    """Does a note say that these shards were merged into this folder, and is nothing changed?"""
    try:
        note = json.loads(_read(output_path / NOTE))
    except (OSError, ValueError, RecursionError):
        return False
    now = _note(shards, output_path)
    return bool(now["shards"] and now["merged"] and note == now)


def _merge(given: argparse.Namespace) -> int:
    note = given.output_path / NOTE
    if was_merged(given.shards, given.output_path):
        print(f"These shards were merged into {given.output_path} before: nothing to do")
        return 0
    note.unlink(missing_ok=True)
    before = state_of(given.shards), weights_in(given.output_path)
    print(f"Merging {given.checkpoint_type} checkpoint from {given.shards}", flush=True)
    code = subprocess.run(  # noqa: S603 - the command line is built as a list
        [
            *(sys.executable, "-m", "lmms_engine.merger"),
            f"--checkpoint_path={given.shards.parent}",
            f"--output_path={given.output_path}",
            f"--checkpoint_type={given.checkpoint_type}",
        ],
        check=False,
    ).returncode
    if code != 0:
        return code if code > 0 else SIGNAL_BASE - code
    fault = _fault(given, before)
    if fault is not None:
        print(f"MergeError: {fault}", flush=True)
        return 1
    _write(note, _note(given.shards, given.output_path))
    print(f"Merged checkpoint saved to: {given.output_path}", flush=True)
    return 0


def _fault(given: argparse.Namespace, before: tuple[State, State]) -> str | None:
    shards, weights = before
    if state_of(given.shards) != shards:
        return f"{given.shards} was written to while it was merged"
    there = (given.output_path / CONFIG).is_file()
    if not there or weights_in(given.output_path) in ([], weights):
        return f"the merger ended well, but left no {CONFIG} or no weights in {given.output_path}"
    return None


def _note(shards: Path, output_path: Path) -> dict[str, Any]:
    return {
        "from": str(shards),
        "shards": state_of(shards),
        "merged": weights_in(output_path),
    }


def _write(path: Path, values: dict[str, Any]) -> None:
    draft = path.with_name(path.name + ".draft")
    with draft.open("w", encoding="utf-8") as file:
        json.dump(values, file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _read(path: Path) -> str:
    """Read a note, following no link and waiting for no writer. Raises OSError, ValueError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError(f"{path} is no regular file")
        text = file.read(MAX_NOTE_BYTES + 1)
    if len(text) > MAX_NOTE_BYTES:
        raise ValueError(f"{path} has more than {MAX_NOTE_BYTES} bytes")
    return text.decode()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--shards", type=Path, required=True)
    parser.add_argument("--checkpoint_type", required=True)
    parser.add_argument("--output_path", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
