"""What an attempt has written, as its node sees it.

A network file system may show the server an old listing of a directory for a minute, without the
results that were written last. With this record, the server knows what it does not see yet.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING

from evalserver.runner.files import OUTPUTS_FILE, replace_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_WRITTEN_FILES = 10_000
"""Files that are recorded."""


def record_written_files(run_dir: Path, output_dir: Path) -> None:
    """Write ``outputs.json``: the absolute path of the output directory, and the size in bytes of
    each file in it, by its path there.

    If it cannot be written, it is left out: the server then does not wait for the files.
    """
    files = dict(islice(_sizes(output_dir), MAX_WRITTEN_FILES))
    record = json.dumps({"directory": str(output_dir), "files": files})
    with suppress(OSError):
        replace_file(run_dir / OUTPUTS_FILE, record)


def _sizes(directory: Path) -> Iterator[tuple[str, int]]:
    for place, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(place, name)  # noqa: PTH118 - there may be many files
            relative = os.path.relpath(path, directory)
            with suppress(OSError, UnicodeEncodeError):
                relative.encode()
                yield relative, os.lstat(path).st_size
