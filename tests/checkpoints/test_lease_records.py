"""The records of leases survive crashes, and crashes leave nothing else."""

from pathlib import Path

from evalserver.checkpoints.leases.records import Lease, LeaseRecords
from evalserver.core.request import MARK


def test_what_a_crash_left_of_a_record_being_written_is_removed(tmp_path: Path) -> None:
    records = LeaseRecords(tmp_path)
    records.add(Lease("kept", MARK, ()))
    (tmp_path / ".killed.json.new").write_text('{"job_')

    found = list(records.load())

    assert [lease.job_id for lease in found] == ["kept"]
    assert [each.name for each in tmp_path.iterdir()] == ["kept.json"]
