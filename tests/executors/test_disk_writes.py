"""What the processes of an attempt write to disk, as the kernel counts it."""

from pathlib import Path

from evalserver.executors.disk_writes import written_bytes
from evalserver.runner.files import PROCESSES_FILE
from tests.executors.conftest import Lab
from tests.support import until

DOWNLOAD = """
import os, time
print("ready", flush=True)
while not os.path.exists({go!r}):
    time.sleep(0.05)
with open({file!r}, "wb", buffering=0) as file:
    while True:
        file.write(b"x" * 65536)
        os.fsync(file.fileno())
        time.sleep(0.05)
"""


async def test_writes_to_files_anywhere_are_counted(lab: Lab, tmp_path: Path) -> None:
    go = tmp_path / "go"
    spec = await lab.running(DOWNLOAD.format(go=str(go), file=str(tmp_path / "elsewhere.bin")))

    async def is_recorded() -> bool:
        return (spec.run_dir / PROCESSES_FILE).exists()

    await until(is_recorded)
    before = written_bytes(spec.run_dir)
    assert written_bytes(spec.run_dir) == before
    go.touch()

    async def has_written() -> bool:
        return written_bytes(spec.run_dir) > before

    await until(has_written)


def test_without_a_record_nothing_is_known(tmp_path: Path) -> None:
    assert written_bytes(tmp_path) == 0
