"""How much the processes of an attempt have written to disk, as the kernel counts it."""

from pathlib import Path

from evalserver.executors.run_files import process_record_of
from evalserver.runner import procfs
from evalserver.runner.files import boot_id


def written_bytes(run_dir: Path) -> int:
    """Return the bytes that the harness's processes, of those that run now, have written to disk.

    They include files anywhere, such as a download into a cache. 0 if nothing is known. Reads
    files: call it in a thread.
    """
    record = process_record_of(run_dir)
    if record is None or record.boot_id != boot_id():
        return 0
    _runner, *harness = record.starts
    return sum(map(procfs.written_bytes, harness))
