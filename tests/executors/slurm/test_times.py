"""Time limits as sbatch takes them."""

import pytest

from evalserver.executors.slurm.times import parse_minutes


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("90", 90),
        ("90:00", 90),
        ("90:01", 91),
        ("1:30:00", 90),
        ("2-0", 2 * 1440),
        ("2-12", 2 * 1440 + 720),
        ("2-12:30", 2 * 1440 + 750),
        ("2-12:30:30", 2 * 1440 + 751),
    ],
)
def test_every_format_of_slurm_is_read(text: str, minutes: int) -> None:
    assert parse_minutes(text) == minutes


@pytest.mark.parametrize("text", ["", "0", "00:00:00", "0-0", "2h", "-1", "1:2:3:4", "UNLIMITED"])
def test_any_other_text_is_none(text: str) -> None:
    assert parse_minutes(text) is None
