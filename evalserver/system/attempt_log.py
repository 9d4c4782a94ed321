"""Opening the log of an attempt: the one place that opens ``eval.log`` for reading.

A harness can replace the file, so it is opened like every other untrusted file.
"""

import stat
from pathlib import Path
from typing import BinaryIO

from evalserver.runner.files import LOG_FILE
from evalserver.system.untrusted_files import UntrustedDirectory, open_file


def log_path(run_dir: Path) -> Path:
    """Return where the log of an attempt is, or will be."""
    return run_dir / LOG_FILE


def open_log(run_dir: Path) -> BinaryIO:
    """Open the log in an attempt's run directory. Raises UnreadableFile, MissingFile."""
    return open_file(UntrustedDirectory.for_attempt(run_dir), LOG_FILE)


def log_size(run_dir: Path) -> int:
    """Return the size of the log in bytes without opening it; 0 if it is no regular file."""
    try:
        state = log_path(run_dir).lstat()
    except OSError:
        return 0
    return state.st_size if stat.S_ISREG(state.st_mode) else 0
