"""The operator's rules for series: the tables ``[series.PATTERN]`` of the TOML file."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any

from evalserver.core.series import BEST, PREVIOUS
from evalserver.core.suggestions import did_you_mean

MAX_WAITING = 1_000_000

JOB_ID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class SeriesPolicy:
    """The rules for the series whose names match ``pattern``, as file names match one.

    No more than ``max_waiting`` jobs of a submitter wait in one of them; None for any number. With
    ``newest_first``, those that wait take their places in the order of their steps, the newest
    first. Each completed job is judged by the policy ``gate``, beside ``baseline``: the id of a
    job, ``previous`` or ``best``.
    """

    pattern: str
    max_waiting: int | None = None
    newest_first: bool = False
    gate: str | None = None
    baseline: str = PREVIOUS


def read_series(tables: Mapping[str, Mapping[str, Any]]) -> tuple[SeriesPolicy, ...]:
    """Parse the tables, in their order. Raises ValueError with the table, the key, its value, and
    what is allowed."""
    return tuple(_read_table(pattern, table) for pattern, table in tables.items())


def policy_of(series: str | None, policies: Sequence[SeriesPolicy]) -> SeriesPolicy | None:
    """Return the first policy whose pattern matches, if there is one."""
    if series is None:
        return None
    return next((each for each in policies if fnmatchcase(series, each.pattern)), None)


def _read_table(pattern: str, table: Mapping[str, Any]) -> SeriesPolicy:
    for key, value in table.items():
        if key not in _CHECKS:
            raise ValueError(
                f"series.{pattern}: unknown key {key!r}.{did_you_mean(key, _CHECKS)} Known keys: "
                f"{', '.join(_CHECKS)}"
            )
        expected = _CHECKS[key](value)
        if expected is not None:
            raise ValueError(f"series.{pattern}.{key} must be {expected}, got {value!r}")
    if "baseline" in table and "gate" not in table:
        raise ValueError(f"series.{pattern}.baseline needs series.{pattern}.gate, a policy's name")
    return SeriesPolicy(pattern, **table)


def _check_max_waiting(value: Any) -> str | None:
    is_valid = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_WAITING
    return None if is_valid else f"an integer from 1 to {MAX_WAITING}"


def _check_newest_first(value: Any) -> str | None:
    return None if isinstance(value, bool) else "true or false"


def _check_gate(value: Any) -> str | None:
    return None if isinstance(value, str) and value else "the name of a table [gates.NAME]"


def _check_baseline(value: Any) -> str | None:
    is_valid = isinstance(value, str) and (
        value in (PREVIOUS, BEST) or JOB_ID.fullmatch(value) is not None
    )
    return None if is_valid else f"{PREVIOUS}, {BEST}, or the id of a job (a UUID)"


_CHECKS: Mapping[str, Callable[[Any], str | None]] = MappingProxyType(
    {
        "max_waiting": _check_max_waiting,
        "newest_first": _check_newest_first,
        "gate": _check_gate,
        "baseline": _check_baseline,
    }
)
