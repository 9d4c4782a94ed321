"""The policy of a gate: which metrics are judged, and how much worse each may be.

A policy is written as a mapping, in the TOML file or as JSON: the fields of a rule, which hold for
all of its rules, and ``rules``, of which the first that matches a metric applies to it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any

from evalserver.analysis.comparison import CONFIDENCE
from evalserver.core.suggestions import did_you_mean

MAX_RULES = 200
MAX_PATTERN = 512
MAX_DROP = 1e9
MIN_CONFIDENCE, MAX_CONFIDENCE = 0.5, 0.9999

RULES = "rules"


class Tier(StrEnum):
    """What a metric means for the verdict."""

    CRITICAL = "critical"
    """It must pass for a go; a breach is a no_go."""
    SUPPORTING = "supporting"
    """A breach is a no_go; it need not pass for a go."""
    ADVISORY = "advisory"
    """It is judged and shown, and does not count."""


class Direction(StrEnum):
    """Which values of a metric are better, where the harness does not say, or says it wrongly."""

    HIGHER = "higher_is_better"
    LOWER = "lower_is_better"


class Missing(StrEnum):
    """What it means that the job has no number where the baseline has one."""

    INCONCLUSIVE = "inconclusive"
    BREACH = "breach"
    IGNORE = "ignore"


@dataclass(frozen=True)
class Rule:
    """How much worse the metrics that match may be, and with which confidence that is shown.

    ``task``, ``metric`` and ``filter`` are patterns, as those of file names; without ``metric``,
    all metrics match of which it is known whether higher is better. ``max_drop`` is in the unit of
    the metric, ``max_relative_drop`` a share of the baseline's value; of both, the smaller holds.
    ``allow_unpaired``: where documents cannot be paired, two standard errors may show a pass.
    """

    task: str = "*"
    metric: str | None = None
    filter: str | None = None
    tier: Tier = Tier.CRITICAL
    direction: Direction | None = None
    max_drop: float | None = None
    max_relative_drop: float | None = None
    confidence: float = CONFIDENCE
    missing: Missing = Missing.INCONCLUSIVE
    allow_unpaired: bool = False

    def matches(self, key: tuple[str, str, str], higher_is_better: bool | None) -> bool:
        """Whether the rule is for this task, metric and filter."""
        task, metric, filter_name = key
        if not fnmatchcase(task, self.task):
            return False
        if not fnmatchcase(filter_name, "*" if self.filter is None else self.filter):
            return False
        if self.metric is None:
            return higher_is_better is not None or self.direction is not None
        return fnmatchcase(metric, self.metric)

    def higher_is_better(self, of_harness: bool | None) -> bool | None:
        """Which values are better, by the rule or else as the harness says; None if unknown."""
        return of_harness if self.direction is None else self.direction is Direction.HIGHER

    def margin(self, baseline: float) -> float:
        """Return by how much a metric may be worse than this value of the baseline."""
        relative = self.max_relative_drop
        margins = [] if self.max_drop is None else [self.max_drop]
        return min(margins if relative is None else [*margins, relative * abs(baseline)])


@dataclass(frozen=True)
class Policy:
    """The rules of a gate, in their order."""

    rules: tuple[Rule, ...]

    def rule_for(self, key: tuple[str, str, str], higher_is_better: bool | None) -> Rule | None:
        """Return the first rule that matches."""
        return next((each for each in self.rules if each.matches(key, higher_is_better)), None)


class InvalidPolicy(ValueError):
    """A policy is invalid; ``errors`` has a sentence for each invalid field, by its path."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{path}: {text}" for path, text in errors.items()))
        self.errors = errors


def parse_policy(values: Mapping[str, Any]) -> Policy:
    """Return the policy of a mapping. Raises InvalidPolicy with everything that is wrong."""
    errors = dict(_faults(values, "", (*RULE_FIELDS, RULES)))
    tables = values.get(RULES, [{}])
    if not isinstance(tables, list | tuple) or not 1 <= len(tables) <= MAX_RULES:
        raise InvalidPolicy({**errors, RULES: f"must be a list of 1 to {MAX_RULES} rules."})
    for number, table in enumerate(tables):
        errors.update(_faults(table, f"{RULES}.{number}.", RULE_FIELDS))
    if errors:
        raise InvalidPolicy(errors)
    common = _rule_of(Rule(), {name: each for name, each in values.items() if name != RULES})
    rules = tuple(_rule_of(common, table) for table in tables)
    for number, rule in enumerate(rules):
        if rule.max_drop is None and rule.max_relative_drop is None:
            path = f"{RULES}.{number}.max_drop" if RULES in values else "max_drop"
            errors[path] = "is required, or else max_relative_drop."
    if errors:
        raise InvalidPolicy(errors)
    return Policy(rules)


def policy_json(policy: Policy) -> dict[str, Any]:
    """Return the mapping of which ``parse_policy`` makes this policy."""
    rules = [
        {
            name: value
            for name, value in ((each.name, getattr(rule, each.name)) for each in fields(Rule))
            if value is not None
        }
        for rule in policy.rules
    ]
    return {RULES: rules}


def _rule_of(common: Rule, values: Mapping[str, Any]) -> Rule:
    made = {name: CONVERSIONS.get(name, lambda value: value)(values[name]) for name in values}
    return replace(common, **made)


def _faults(values: Any, path: str, known: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if not isinstance(values, Mapping):
        yield path.rstrip("."), "must be an object."
        return
    for name, value in values.items():
        if name not in known:
            suggestion = did_you_mean(str(name), known)
            yield f"{path}{name}", f"is unknown.{suggestion} Known are {', '.join(known)}."
        elif name != RULES and (fault := CHECKS[name](value)) is not None:
            yield f"{path}{name}", f"must be {fault}."


def _check_pattern(value: Any) -> str | None:
    is_valid = isinstance(value, str) and 1 <= len(value) <= MAX_PATTERN
    return None if is_valid else f"a pattern of 1 to {MAX_PATTERN} characters"


def _check_number(low: float, high: float) -> Callable[[Any], str | None]:
    def check(value: Any) -> str | None:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return None if is_number and low <= value <= high else f"a number from {low:g} to {high:g}"

    return check


def _check_choice(choices: type[StrEnum]) -> Callable[[Any], str | None]:
    names = [each.value for each in choices]

    def check(value: Any) -> str | None:
        is_valid = isinstance(value, str) and value in names
        return None if is_valid else f"one of {', '.join(names)}"

    return check


def _check_boolean(value: Any) -> str | None:
    return None if isinstance(value, bool) else "true or false"


CHECKS: Mapping[str, Callable[[Any], str | None]] = MappingProxyType(
    {
        "task": _check_pattern,
        "metric": _check_pattern,
        "filter": _check_pattern,
        "tier": _check_choice(Tier),
        "direction": _check_choice(Direction),
        "max_drop": _check_number(0, MAX_DROP),
        "max_relative_drop": _check_number(0, 1),
        "confidence": _check_number(MIN_CONFIDENCE, MAX_CONFIDENCE),
        "missing": _check_choice(Missing),
        "allow_unpaired": _check_boolean,
    }
)
"""What each field of a rule must be, else what is allowed."""

RULE_FIELDS = tuple(CHECKS)

CONVERSIONS: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {"tier": Tier, "direction": Direction, "missing": Missing}
)
