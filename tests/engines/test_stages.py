"""Progress of an attempt that merges first: bars of the merger, then what the harness tells."""

from evalserver.engines import MergeThenEvaluateReader, PatternReader, Progress
from evalserver.engines.stages import EVALUATING

MERGING = (
    b"evalserver: merging the checkpoint\nLoading shards:  50%|##  | 1/2 [00:01<00:01, 1.00it/s]\n"
)
HARNESS = b"sample 3 of 4\n"


def reader() -> MergeThenEvaluateReader:
    """One whose harness has its own way to tell how far it is."""
    return MergeThenEvaluateReader(PatternReader(r"sample (?P<done>\d+) of (?P<total>\d+)"))


def test_the_mergers_bars_are_read_whatever_reads_the_harness() -> None:
    assert reader().read(MERGING).stage == "Loading shards"


def test_after_them_the_harness_is_read_as_ever() -> None:
    read = reader()
    read.read(MERGING)

    assert read.read(EVALUATING + HARNESS).fraction == 0.75


def test_the_line_between_them_may_come_in_two_pieces() -> None:
    read = reader()
    read.read(MERGING + EVALUATING[:9])

    assert read.read(EVALUATING[9:] + HARNESS).fraction == 0.75


def test_what_the_harness_would_take_for_progress_is_not_when_the_merger_prints_it() -> None:
    assert reader().read(HARNESS) == Progress("starting")


def test_who_missed_something_missed_the_merge() -> None:
    assert reader().read(b"...\n" + HARNESS, after_gap=True).fraction == 0.75
