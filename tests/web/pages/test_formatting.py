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
     (0.5, 0.071, "0.500"), (1234.5, 12.0, "1234"), (0.5, 0.0, "0.5000"), (0.0, 1e-9, "0.000000"),
     (0.5, None, "0.5000"), (12.5, None, "12.50"), (987.12, None, "987.1"),
     (0.000123, None, "0.0001230"), (1234.5678, None, "1235"), (3.0, None, "3"), (0.0, None, "0"),
     (1e12, None, "1e+12"), (2e-9, None, "2e-09")],
)  # fmt: skip
def test_a_number_is_rounded_to_its_standard_error(
    value: float | None, stderr: float | None, text: str
) -> None:
    assert formatting.number(value, stderr) == text


@pytest.mark.parametrize(
    ("values", "texts"),
    [([0.5, 0.512], ["0.5000", "0.5120"]), ([13.0, 12.5], ["13.00", "12.50"]),
     ([1234.5678, 987.1], ["1234.6", "987.1"]), ([3.0, 4.0], ["3", "4"]),
     ([0.0, 0.25], ["0.0000", "0.2500"]),
     ([None, 0.25], ["—", "0.2500"]), ([float("inf"), 0.25], ["inf", "0.2500"])],
)  # fmt: skip
def test_numbers_without_a_standard_error_share_their_decimals(
    values: list[float | None], texts: list[str]
) -> None:
    places = formatting.shared_places(values)

    assert [formatting.number(value, None, places) for value in values] == texts


def test_gpu_memory_is_in_the_unit_of_its_makers() -> None:
    assert formatting.gpu_memory(43.3 * 1024**3, 80 * 1024**3) == "43.3 of 80 GiB"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5, "+0.50"), (-0.5, f"{formatting.MINUS}0.50"), (0.0, "0.00"), (None, "—")],
)
def test_a_difference_has_a_sign(value: float | None, text: str) -> None:
    assert formatting.signed(value, 0.1) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(None, "—"), (0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (2_345_678, "2.24 MiB"),
     (1_023_500, "0.976 MiB"), (2 * 1024**3, "2 GiB"), (5e15, "4.55e+03 TiB")],
)  # fmt: skip
def test_a_size_has_three_digits(count: float | None, text: str) -> None:
    assert formatting.size(count) == text


def test_a_job_that_a_text_names_is_a_link() -> None:
    job_id = "01a228b0-2df2-7d12-afca-261849d248ac"

    html = formatting.link_jobs(f"<b> job {job_id} of GPU-{job_id}")

    link = f'<a href="/ui/jobs/{job_id}" title="{job_id}">49d248ac</a>'
    assert html == f"&lt;b&gt; job {link} of GPU-{job_id}"


def test_a_relative_time_has_the_exact_time_as_tooltip() -> None:
    html = formatting.ago("2020-01-01T12:00:00.000+00:00")

    assert 'title="2020-01-01 12:00:00 UTC"' in html
    assert "days ago" in html
