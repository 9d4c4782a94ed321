"""Formatting of values on the pages."""

import pytest

from evalserver.web.pages import formatting


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "—"), (0, "0 s"), (0.2, "under 1 s"), (59.4, "59 s"), (60, "1 min"), (61, "1 min 1 s"),
     (3600, "1 h"), (3660, "1 h 1 min"), (90_000, "1 d 1 h")],
)  # fmt: skip
def test_a_duration_has_its_two_largest_units(seconds: float | None, text: str) -> None:
    assert formatting.duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "stderr", "text"),
    [(None, None, "—"), (0.123456, None, "0.1235"), (0.123456, 0.0123, "0.123"),
     (0.5, 0.071, "0.500"), (1234.5, 12.0, "1234"), (0.5, 0.0, "0.5"), (0.0, 1e-9, "0.000000")],
)  # fmt: skip
def test_a_number_is_rounded_to_its_standard_error(
    value: float | None, stderr: float | None, text: str
) -> None:
    assert formatting.number(value, stderr) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5, "+0.50"), (-0.5, f"{formatting.MINUS}0.50"), (0.0, "0.00"), (None, "—")],
)
def test_a_difference_has_a_sign(value: float | None, text: str) -> None:
    assert formatting.signed(value, 0.1) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(None, "—"), (0, "0 B"), (999, "999 B"), (1000, "1 KB"), (2_345_678, "2.35 MB"),
     (999_600, "1 MB"), (5e15, "5e+03 TB")],
)  # fmt: skip
def test_a_size_has_three_digits(count: float | None, text: str) -> None:
    assert formatting.size(count) == text


def test_a_relative_time_has_the_exact_time_as_tooltip() -> None:
    html = formatting.ago("2020-01-01T12:00:00.000+00:00")

    assert 'title="2020-01-01 12:00:00 UTC"' in html
    assert "days ago" in html
