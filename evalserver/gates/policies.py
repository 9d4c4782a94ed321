"""The operator's policies: the tables ``[gates.NAME]`` of the TOML file."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from evalserver.analysis.gate_policy import InvalidPolicy, Policy, parse_policy
from evalserver.core.suggestions import did_you_mean
from evalserver.core.table_names import require_table_name


class UnknownPolicy(Exception):
    """No policy has this name; the message names those that there are."""


def read_policies(tables: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Policy]:
    """Parse the tables. Raises ValueError with the table, the field, and what is allowed."""
    policies = {}
    for name, table in tables.items():
        require_table_name("gates", name)
        try:
            policies[name] = parse_policy(table)
        except InvalidPolicy as error:
            path, message = next(iter(error.errors.items()))
            raise ValueError(f"gates.{name}.{path} {message}") from None
    return MappingProxyType(policies)


def find_policy(name: str, policies: Mapping[str, Policy]) -> Policy:
    """Return the policy of a name. Raises UnknownPolicy."""
    if name in policies:
        return policies[name]
    if not policies:
        raise UnknownPolicy(
            f"There is no policy {name!r}: the server's settings have no table [gates.NAME]."
        )
    raise UnknownPolicy(
        f"There is no policy {name!r}.{did_you_mean(name, policies)} Known policies:"
        f" {', '.join(policies)}."
    )
