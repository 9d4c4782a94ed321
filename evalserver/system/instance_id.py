"""The id of a data directory, by which it is known where several servers share a directory."""

import os
import re
import uuid
from pathlib import Path

INSTANCE_ID_NAME = "instance-id"
VALID = re.compile(r"[0-9a-f]{32}")


def load_instance_id(data_dir: Path) -> str:
    """Return the id of a data directory; the first call makes it.

    The caller must hold the lock of the directory. Raises OSError, and ValueError if the file was
    damaged: another id would make the server lose sight of its own files.
    """
    path = data_dir / INSTANCE_ID_NAME
    try:
        found = path.read_text(encoding="ascii", errors="replace").strip()
    except FileNotFoundError:
        found = uuid.uuid4().hex
        _write(path, found)
    if not VALID.fullmatch(found):
        raise ValueError(
            f"{path} must have 32 hexadecimal digits: write those with which the name of this "
            "server's folder in the run_root of an executor ends"
        )
    return found


def _write(path: Path, text: str) -> None:
    """Write a file that is there with its whole content, or not at all, also after a power cut."""
    draft = path.with_name(f".{path.name}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(f"{text}\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
