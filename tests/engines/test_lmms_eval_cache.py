"""The size of the parts in which requests are sent; the rest is tested with the real harness."""

import pytest

from evalserver.engines.in_harness.lmms_eval_cache import PART_SECONDS, next_size


@pytest.mark.parametrize(
    ("size", "seconds", "expected"),
    [
        (16, 0.0, 32),
        (16, 1.0, 32),
        (64, PART_SECONDS, 64),
        (64, PART_SECONDS / 2, 128),
        (64, PART_SECONDS * 2, 32),
        (1, PART_SECONDS * 100, 1),
    ],
)
def test_fast_parts_grow_and_slow_parts_shrink(size: int, seconds: float, expected: int) -> None:
    assert next_size(size, seconds) == expected
