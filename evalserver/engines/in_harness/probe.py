"""Tells, as a line of JSON, what a harness's numbers depend on: versions, commit, files, GPUs.

Run by its path in the interpreter of the harness, with the import name of the harness, or an empty
text, and the names of packages; the first is the harness's. It imports none of them: metadata,
files and the driver's own tool are asked.
"""

import json
import os
import platform
import sys
import sysconfig
from importlib import metadata
from typing import Any, Optional

# The directory of this file is the first on the path.
from installation import (  # type: ignore[import-not-found]
    find_commit,
    find_installation,
    fingerprint,
    run,
)

GPU_FIELDS = ("index", "name", "uuid", "memory.total", "driver_version")
USUAL_PACKAGES = ("torch", "transformers", "accelerate", "datasets", "numpy")


def main() -> None:
    """Print what is found."""
    # As with -m: modules of the working directory come first, not those of this folder.
    sys.path[0] = os.getcwd()  # noqa: PTH109 - sys.path holds texts
    module, *names = sys.argv[1:]
    told: dict[str, Any] = {
        "interpreter": sys.executable,
        "site": sysconfig.get_path("purelib"),
        "python": platform.python_version(),
        **(_harness(names[0], module) if module else {}),
        "packages": {name: found for name in (*names, *USUAL_PACKAGES) if (found := version(name))},
        **gpus(),
    }
    print(json.dumps(told))


def _harness(package: str, module: str) -> dict[str, Any]:
    found = find_installation(package, module)
    if found is None:
        return {}
    return {
        "location": str(found.place),
        "version": found.version,
        "commit": find_commit(package, found),
        # What was installed with metadata does not change without a new version.
        "tree": None if found.is_installed else fingerprint(found.place),
    }


def version(package: str) -> Optional[str]:  # noqa: UP045 - any Python
    """The version of a package; None if it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def gpus() -> dict[str, Any]:
    """Names of the GPUs and the version of their driver, as NVIDIA's own tool tells them."""
    query = f"--query-gpu={','.join(GPU_FIELDS)}"
    printed = run("nvidia-smi", query, "--format=csv,noheader,nounits")
    rows = [line.split(", ") for line in (printed or "").splitlines()]
    found = [dict(zip(GPU_FIELDS, row)) for row in rows if len(row) == len(GPU_FIELDS)]  # noqa: B905
    return {
        "gpus": [{"name": gpu["name"], "uuid": gpu["uuid"]} for gpu in found],
        "driver": found[0]["driver_version"] if found else None,
    }


if __name__ == "__main__":
    main()
