"""The policies of gates are checked when the server starts."""

from typing import Any

import pytest

from evalserver.server.cannot_start import CannotStart
from evalserver.server.gates import configured_gates
from evalserver.server.series import configured_series
from evalserver.settings.server_args import ServerArgs


def configured(gates: dict[str, Any], series: dict[str, Any] | None = None) -> list[str]:
    """The names of the policies of these settings."""
    args = ServerArgs(gates=gates, series=series or {})
    return list(configured_gates(args, configured_series(args)))


def test_policies_have_the_names_of_their_tables() -> None:
    tables = {"release": {"max_drop": 0.01}, "nightly": {"max_relative_drop": 0.1}}

    assert configured(tables, {"7b-*": {"gate": "nightly"}}) == ["release", "nightly"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "gates.release.max_drop is required, or else max_relative_drop."),
        ({"max_drop": -1}, "gates.release.max_drop must be a number from 0 to 1e+09."),
        ({"max_drop": 1, "rules": [{"tier": "x"}]}, "gates.release.rules.0.tier must be one of"),
        ({"max_dorp": 1}, "gates.release.max_dorp is unknown. Did you mean 'max_drop'?"),
    ],
)
def test_an_invalid_policy_keeps_the_server_from_starting(
    table: dict[str, Any], message: str
) -> None:
    with pytest.raises(CannotStart) as error:
        configured({"release": table})

    assert str(error.value).startswith(message)


def test_a_name_that_no_policy_can_have_keeps_the_server_from_starting() -> None:
    with pytest.raises(CannotStart, match="gates: 'a b' is not a valid name"):
        configured({"a b": {"max_drop": 0.1}})


def test_a_series_whose_policy_there_is_not_keeps_the_server_from_starting() -> None:
    with pytest.raises(CannotStart) as error:
        configured({"release": {"max_drop": 0.1}}, {"7b-*": {"gate": "relaese"}})

    assert str(error.value) == (
        "series.7b-*.gate: there is no table [gates.relaese]. Did you mean 'release'?"
        " Known policies: release"
    )
