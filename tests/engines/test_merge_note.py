"""The note beside a merged checkpoint: an invalid note neither blocks nor fails a merge."""

import os
import threading
from pathlib import Path

import pytest

from evalserver.engines.in_harness.merge_checkpoint import NOTE, was_merged
from tests.support import WAIT_SECONDS


@pytest.mark.parametrize("what", ["fifo", "folder", "link", "nested", "device"])
def test_an_invalid_note_is_ignored(tmp_path: Path, what: str) -> None:
    note = tmp_path / NOTE
    match what:
        case "fifo":
            os.mkfifo(note)
        case "folder":
            note.mkdir()
        case "link":
            note.symlink_to("/dev/zero")
        case "nested":
            note.write_text("[" * 200_000)
        case "device":
            note.symlink_to("/dev/full")
    found: list[bool] = []
    reading = threading.Thread(
        target=lambda: found.append(was_merged(tmp_path / "shards", tmp_path)), daemon=True
    )

    reading.start()
    reading.join(WAIT_SECONDS / 10)

    assert found == [False]
