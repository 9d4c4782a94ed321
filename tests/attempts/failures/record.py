"""Records what the real packages print: ``python -m tests.attempts.failures.record [NAME ...]``.

To be run by hand, after versions of the harnesses have changed; takes some minutes.
"""

import sys
import tempfile
from pathlib import Path

from tests.attempts.failures.cases import CASES, run, without_places
from tests.attempts.failures.loopback import serving
from tests.small_disk import mount_small_disk, unmount

RECORDED = Path(__file__).parent / "recorded"


def record(name: str, url: str) -> None:
    """Run a case, and keep its output."""
    case = CASES[name]
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        if case.on_small_disk:
            mount_small_disk(directory)
        try:
            result = run(case, url, directory)
        finally:
            if case.on_small_disk:
                unmount(directory)
    text = without_places(result.stdout, url, directory)
    (RECORDED / f"{name}.log").write_text(text, encoding="utf-8")
    print(name, result.returncode, text.strip().splitlines()[-1][:150], flush=True)


def main() -> None:
    """Record the named cases, or all."""
    RECORDED.mkdir(exist_ok=True)
    with serving() as url:
        for name in sys.argv[1:] or CASES:
            record(name, url)


if __name__ == "__main__":
    main()
