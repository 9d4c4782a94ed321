"""The table of the variables that harnesses read."""

import pytest

from evalserver.engines.variables import VARIABLES, Variables


@pytest.mark.parametrize(
    ("name", "is_included"),
    [
        ("TOKEN", True),
        ("TOKENS", False),
        ("HF_HOME", True),
        ("MY_HF_HOME", False),
        ("MVBENCH_DATA_DIR", True),
        ("MVBENCH_DATA_DIRS", False),
    ],
)
def test_a_row_includes_names_as_its_stars_say(name: str, is_included: bool) -> None:
    row = Variables("a harness", ("TOKEN", "HF_*", "*_DATA_DIR"))

    assert row.includes(name) is is_included


def test_a_name_has_a_star_only_at_its_beginning_or_end() -> None:
    names = [name for row in VARIABLES for name in row.names]

    assert [name for name in names if "*" in name.removeprefix("*").removesuffix("*")] == []
    assert [name for name in names if name.startswith("*") and name.endswith("*")] == []
