"""Schemas of requests for a verdict: which job, beside which baseline, by which policy."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import orjson
from marshmallow import ValidationError, fields, validates_schema

from evalserver.analysis.gate_policy import (
    CHECKS,
    MAX_CONFIDENCE,
    MAX_DROP,
    MAX_PATTERN,
    MAX_RULES,
    MIN_CONFIDENCE,
    Direction,
    InvalidPolicy,
    Missing,
    Policy,
    Tier,
    parse_policy,
)
from evalserver.web.schemas.fields import JsonSchema, List, PublicText, Strict, Text, about
from evalserver.web.schemas.queries import StrictSchema
from evalserver.web.schemas.query_fields import QueryInteger
from evalserver.web.schemas.responses import JOB_ID

MAX_POLICY_CHARACTERS = 2000
"""In a query, which may have about 8000 bytes, and three for a character."""
MAX_TASKS = 50
DEFAULT_VERDICTS, MAX_VERDICTS = 50, 500
"""Verdicts per page."""

NUMBERS = ("max_drop", "max_relative_drop", "confidence")
ALTERNATIVES = (*NUMBERS, "task")
"""The fields of a policy of one rule for each task, in place of ``policy``."""

PATTERN = PublicText(longest=MAX_PATTERN)

_TEXT: JsonSchema = {"type": "string", "minLength": 1, "maxLength": MAX_PATTERN}
_SHARE: JsonSchema = {"type": "number", "minimum": 0, "maximum": 1}
_DROP: JsonSchema = {"type": "number", "minimum": 0, "maximum": MAX_DROP}
_CONFIDENCE: JsonSchema = {
    "type": "number",
    "minimum": MIN_CONFIDENCE,
    "maximum": MAX_CONFIDENCE,
}
RULE_PROPERTIES: Mapping[str, JsonSchema] = {
    "task": _TEXT,
    "metric": _TEXT,
    "filter": _TEXT,
    "tier": {"type": "string", "enum": list(Tier)},
    "direction": {"type": "string", "enum": list(Direction)},
    "max_drop": _DROP,
    "max_relative_drop": _SHARE,
    "confidence": _CONFIDENCE,
    "missing": {"type": "string", "enum": list(Missing)},
    "allow_unpaired": {"type": "boolean"},
}
_RULE: JsonSchema = {
    "type": "object",
    "properties": dict(RULE_PROPERTIES),
    "additionalProperties": False,
}
_POLICY: JsonSchema = {
    "type": "object",
    "properties": {
        **RULE_PROPERTIES,
        "rules": {"type": "array", "minItems": 1, "maxItems": MAX_RULES, "items": _RULE},
    },
    "additionalProperties": False,
}
_NAME: JsonSchema = {"type": "string", "minLength": 1, "maxLength": 64}


class PolicyOrName(Strict[Policy | str]):
    """A policy as an object, or the name of one of the server's settings."""

    def json_schema(self) -> JsonSchema:
        """The two forms."""
        return {"anyOf": [_NAME, _POLICY]}

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> Policy | str:
        if isinstance(value, str):
            return Text(longest=64).deserialize(value)
        if not isinstance(value, dict):
            raise ValidationError("Must be the name of a policy, or an object.")
        try:
            policy = parse_policy(value)
        except InvalidPolicy as error:
            found = {path: [f"It {text}"] for path, text in error.errors.items()}
            raise ValidationError(found) from None
        for number, rule in enumerate(policy.rules):
            for name in ("task", "metric", "filter"):
                _check_public(getattr(rule, name), f"rules.{number}.{name}")
        return policy


class QueryPolicy(PolicyOrName):
    """The same in a query string: an object as JSON."""

    def json_schema(self) -> JsonSchema:
        """Its length."""
        return {"type": "string", "minLength": 1, "maxLength": MAX_POLICY_CHARACTERS}

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> Policy | str:
        if len(value) > MAX_POLICY_CHARACTERS:
            raise ValidationError(f"Must have at most {MAX_POLICY_CHARACTERS} characters.")
        if value.lstrip().startswith("{"):
            try:
                value = orjson.loads(value)
            except orjson.JSONDecodeError as error:
                raise ValidationError(f"Must be JSON, or the name of a policy: {error}.") from None
        return super()._deserialize(value, attr, data, **kwargs)


class RuleNumber(Strict[float]):
    """A number that a rule may have in a field of this name."""

    def json_schema(self) -> JsonSchema:
        """The bounds."""
        return RULE_PROPERTIES[str(self.name)]

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> float:
        fault = CHECKS[str(self.name)](value)
        if fault is not None:
            raise ValidationError(f"Must be {fault}.")
        return float(value)


class QueryRuleNumber(RuleNumber):
    """The same in a query string."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> float:
        try:
            number = float(value) if len(value) <= 32 else None
        except ValueError:
            number = None
        return super()._deserialize(number, attr, data, **kwargs)


JOB = about("The id of the completed job that is judged.")
BASELINE = about(
    "The id of the completed job that it is judged beside; `previous` or `best`: the step before it"
    " in its series, or the best one of all before."
)
POLICY = "The policy: the name of a table `[gates.NAME]` of the server's settings, or an object"
DROP = about("In place of a policy: by how much a metric may be worse, in its unit.")
RELATIVE_DROP = about("The same as a share of the baseline's value; of both, the smaller holds.")
CONFIDENCE = about("Confidence of the intervals, by default 0.95.")
TASK = about("Only tasks that match one of these patterns; all if absent.")


class _GateSchema(StrictSchema):
    """What both requests have in common."""

    job = Text(longest=64, required=True, metadata=JOB)
    baseline = Text(longest=64, required=True, metadata=BASELINE)

    @validates_schema(skip_on_field_errors=True)
    def _check_policy(self, data: Mapping[str, Any], **_kwargs: Any) -> None:
        if data["job"] == data["baseline"]:
            raise ValidationError("Must be another job than the one that is judged.", "baseline")
        given = [name for name in ALTERNATIVES if name in data]
        if "policy" in data and given:
            raise ValidationError(f"Must not be given with {', '.join(given)}.", "policy")
        if "policy" not in data and not {"max_drop", "max_relative_drop"} & data.keys():
            raise ValidationError(
                "Must be given, or else max_relative_drop, or policy.", "max_drop"
            )


class GateQuerySchema(_GateSchema):
    """The query of ``GET /gate``."""

    policy = QueryPolicy(metadata=about(f"{POLICY} as JSON."))
    max_drop = QueryRuleNumber(metadata=DROP)
    max_relative_drop = QueryRuleNumber(metadata=RELATIVE_DROP)
    confidence = QueryRuleNumber(metadata=CONFIDENCE)
    task = List(PATTERN, longest=MAX_TASKS, metadata=TASK)


class GateBodySchema(_GateSchema):
    """The body of ``POST /gate``."""

    EXAMPLE = MappingProxyType(
        {
            "job": JOB_ID,
            "baseline": "previous",
            "policy": {
                "max_drop": 0.01,
                "rules": [
                    {"task": "mmlu*", "metric": "acc", "tier": "critical"},
                    {"task": "*", "tier": "supporting", "max_drop": 0.03},
                ],
            },
        }
    )

    policy = PolicyOrName(metadata=about(f"{POLICY}."))
    max_drop = RuleNumber(metadata=DROP)
    max_relative_drop = RuleNumber(metadata=RELATIVE_DROP)
    confidence = RuleNumber(metadata=CONFIDENCE)
    task = List(PATTERN, longest=MAX_TASKS, metadata=TASK)


class VerdictsQuerySchema(StrictSchema):
    """The query of ``GET /gate/verdicts``."""

    job = Text(longest=64, metadata=about("Only verdicts on this job."))
    series = fields.List(
        Text(longest=512), metadata=about("Only verdicts on jobs of this series; repeatable.")
    )
    limit = QueryInteger(
        1,
        MAX_VERDICTS,
        load_default=DEFAULT_VERDICTS,
        metadata=about("Maximum number of verdicts."),
    )
    cursor = QueryInteger(1, 2**62, metadata=about("The `next` of the previous page."))


def policy_of(data: Mapping[str, Any]) -> Policy | str:
    """Return the policy of a request, or its name."""
    if "policy" in data:
        found: Policy | str = data["policy"]
        return found
    numbers = {name: data[name] for name in NUMBERS if name in data}
    rules = [{"task": pattern} for pattern in data.get("task", ["*"])]
    return parse_policy({**numbers, "rules": rules})


def _check_public(text: str | None, path: str) -> None:
    if text is None:
        return
    try:
        PATTERN.deserialize(text)
    except ValidationError as error:
        raise ValidationError({path: error.messages}) from None
