"""The runner's program where nodes see it: a copy below the directory that they share.

Its name has a digest of its contents, so that an upgraded server makes another copy, and attempts
that were handed over before go on with theirs. Copies are never removed.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from evalserver.runner import files

PREFIX = ".runner-"
DIGEST_CHARACTERS = 16
PROGRAM = Path(*files.PROGRAM.parts[-2:])
"""``evalserver/runner``: the runner finds the name of its package by its path."""


def copy_runner(run_root: Path) -> Path:
    """Put the runner below ``run_root``, unless it is there, and return the path of its program.

    A file of the copy that differs is written again. Several servers may do this at once, and
    attempts may be starting from the copy. Raises OSError. It waits for a disk: use a thread.
    """
    sources = _read_sources()
    folder = run_root / f"{PREFIX}{_digest(sources)}"
    if not folder.is_dir():
        _create(folder, sources)
    _repair(folder / PROGRAM, sources)
    return folder / PROGRAM


def _read_sources() -> Mapping[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(files.PROGRAM.glob("*.py"))}


def _digest(sources: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name, content in sources.items():
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:DIGEST_CHARACTERS]


def _create(folder: Path, sources: Mapping[str, bytes]) -> None:
    """Create the copy under another name, and rename it: no node sees a part of it."""
    draft = Path(tempfile.mkdtemp(prefix=f"{folder.name}.draft-", dir=folder.parent))
    try:
        draft.chmod(0o755)
        (draft / PROGRAM).mkdir(parents=True)
        for name, content in sources.items():
            (draft / PROGRAM / name).write_bytes(content)
        draft.rename(folder)
    except OSError:
        shutil.rmtree(draft, ignore_errors=True)
        # Another server was faster.
        if not folder.is_dir():
            raise


def _repair(program: Path, sources: Mapping[str, bytes]) -> None:
    program.mkdir(parents=True, exist_ok=True)
    for name, content in sources.items():
        path = program / name
        if not path.is_file() or path.read_bytes() != content:
            files.replace_file(path, content.decode())
