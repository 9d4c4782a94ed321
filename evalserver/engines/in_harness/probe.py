"""Tells, as a line of JSON, what a harness's numbers depend on: versions, commit, GPUs.

Run by its path in the interpreter of the harness, with the names of packages; the first is the
harness. It imports none of them: metadata and the driver's own tool are asked.
"""

import json
import platform
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path
from typing import Any, Optional
from urllib.parse import unquote, urlsplit

SECONDS = 20
GPU_FIELDS = ("index", "name", "uuid", "memory.total", "driver_version")
USUAL_PACKAGES = ("torch", "transformers", "accelerate", "datasets", "numpy")


def main() -> None:
    """Print what is found."""
    names = sys.argv[1:]
    versions = {name: found for name in (*names, *USUAL_PACKAGES) if (found := version(name))}
    told: dict[str, Any] = {
        "interpreter": sys.executable,
        "site": sysconfig.get_path("purelib"),
        "python": platform.python_version(),
        "version": versions.get(names[0]) if names else None,
        "commit": commit(names[0]) if names else None,
        "packages": versions,
        **gpus(),
    }
    print(json.dumps(told))


def version(package: str) -> Optional[str]:  # noqa: UP045 - any Python
    """The version of a package; None if it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def commit(package: str) -> Optional[str]:  # noqa: UP045 - any Python
    """The git commit that a package was installed from, or is installed as; None if from none."""
    try:
        text = metadata.distribution(package).read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return None
    origin = json.loads(text) if text else {}
    if "vcs_info" in origin:
        return str(origin["vcs_info"].get("commit_id"))
    url = urlsplit(origin.get("url", ""))
    if url.scheme != "file" or not origin.get("dir_info", {}).get("editable"):
        return None
    return _checked_out(Path(unquote(url.path)))


def gpus() -> dict[str, Any]:
    """Names of the GPUs and the version of their driver, as NVIDIA's own tool tells them."""
    query = f"--query-gpu={','.join(GPU_FIELDS)}"
    printed = _run("nvidia-smi", query, "--format=csv,noheader,nounits")
    rows = [line.split(", ") for line in (printed or "").splitlines()]
    found = [dict(zip(GPU_FIELDS, row)) for row in rows if len(row) == len(GPU_FIELDS)]  # noqa: B905
    return {
        "gpus": [{"name": gpu["name"], "uuid": gpu["uuid"]} for gpu in found],
        "driver": found[0]["driver_version"] if found else None,
    }


def _checked_out(place: Path) -> Optional[str]:  # noqa: UP045 - any Python
    head = _run("git", "-C", str(place), "rev-parse", "HEAD")
    if not head:
        return None
    changed = _run("git", "-C", str(place), "status", "--porcelain", "--untracked-files=no")
    return f"{head.strip()}{'-dirty' if changed else ''}"


def _run(*command: str) -> Optional[str]:  # noqa: UP045 - any Python
    try:
        done = subprocess.run(  # noqa: S603 - programs of the machine, with fixed arguments
            command, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


if __name__ == "__main__":
    main()
