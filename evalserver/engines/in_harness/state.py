"""Prints what a harness's lists of tasks and models depend on: its version, its interpreter, and a
hash of the state of its files.

Run by its path in the interpreter of the harness, with the names of package and module.
"""

import hashlib
import os
import sys
from pathlib import Path

# The directory of this file is the first on the path.
from installation import find_installation, stat_digest  # type: ignore[import-not-found]

PLUGINS = "LMMS_EVAL_PLUGINS"
"""Packages with further tasks and models of lmms-eval, separated by commas."""


def main() -> None:
    """Print a line of three words. Exits with a reason when there is no harness."""
    # As with -m: modules of the working directory come first, not those of this folder.
    sys.path[0] = os.getcwd()  # noqa: PTH109 - sys.path holds texts
    package, module = sys.argv[1:]
    found = find_installation(package, module) if module else None
    if module and found is None:
        sys.exit(f"{package} is not installed")
    modules = [each.strip() for each in os.environ.get(PLUGINS, "").split(",")]
    installations = [found, *(find_installation(each, each) for each in modules if each)]
    digest = hashlib.sha256()
    for each in installations:
        if each is not None:
            digest.update(f"{each.place}\0{stat_digest(each.place)}\0".encode(errors="replace"))
    # A package that is installed may register further tasks.
    for folder in map(Path, sys.path):
        if folder.name in ("site-packages", "dist-packages") and folder.is_dir():
            digest.update(f"{folder}\0{folder.stat().st_mtime_ns}\0".encode(errors="replace"))
    version = (found.version if found else None) or "unknown"
    print(version, sys.executable, digest.hexdigest())


if __name__ == "__main__":
    main()
