"""Progress of an attempt that merges first: the merger's bars, then the harness's progress."""

from evalserver.engines import MergeThenEvaluateReader, PatternReader, Progress
from evalserver.engines.stages import EVALUATING

MERGING = (
    b"evalserver: merging the checkpoint\nLoading shards:  50%|##  | 1/2 [00:01<00:01, 1.00it/s]\n"
)
HARNESS = b"sample 3 of 4\n"


def reader() -> MergeThenEvaluateReader:
    """Return a reader whose harness reports progress in its own format."""
    return MergeThenEvaluateReader(PatternReader(r"sample (?P<done>\d+) of (?P<total>\d+)"))


def test_the_mergers_bars_are_read_with_any_reader_of_the_harness() -> None:
    assert reader().read(MERGING).stage == "Loading shards"


def test_after_the_merge_the_harness_is_read_as_usual() -> None:
    read = reader()
    read.read(MERGING)

    assert read.read(EVALUATING + HARNESS).fraction == 0.75


def test_the_line_between_the_stages_can_arrive_in_two_pieces() -> None:
    read = reader()
    read.read(MERGING + EVALUATING[:9])

    assert read.read(EVALUATING[9:] + HARNESS).fraction == 0.75


def test_the_harnesss_format_is_ignored_in_the_output_of_the_merger() -> None:
    assert reader().read(HARNESS) == Progress("starting")


def test_after_a_gap_the_merge_is_assumed_to_be_over() -> None:
    assert reader().read(b"...\n" + HARNESS, after_gap=True).fraction == 0.75
