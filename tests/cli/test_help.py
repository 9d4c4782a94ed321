"""What the help of commands says."""

import pytest

from tests.cli.commands import evalserver


@pytest.mark.parametrize(
    "group", [(), ("audit",), ("db",), ("token",), ("gpus",), ("catalog",), ("webhook",)]
)
def test_the_help_of_a_group_cuts_no_sentence(group: tuple[str, ...]) -> None:
    assert "..." not in evalserver(*group, "--help").stdout.partition("Options:")[2]
