"""The id of a data directory, by which it is known where several servers share a directory."""

import re
import uuid
from pathlib import Path

from evalserver.core.durable_files import write_durably

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
        write_durably(path, f"{found}\n".encode())
    if not VALID.fullmatch(found):
        raise ValueError(
            f"{path} must have 32 hexadecimal digits: write those with which the name of this "
            "server's folder in the run_root of an executor ends"
        )
    return found
