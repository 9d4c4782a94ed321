"""Schemas of verdicts of gates, with an example of each."""

from types import MappingProxyType

from marshmallow import fields

from evalserver.analysis.damage import INTERVALS, IntervalMethod
from evalserver.analysis.gate import GateVerdict, MetricVerdict
from evalserver.analysis.gate_policy import Direction, Missing, Tier
from evalserver.web.schemas.compare_responses import MethodSchema, formulas_json
from evalserver.web.schemas.fields import about
from evalserver.web.schemas.responses import JOB_ID, JobId, ResponseSchema, Time

BASELINE_ID = "019ac2f4-6a1b-7c3d-8e5f-9a0b1c2d3e4f"
"""The id of the baseline in the examples."""

VERDICT = MappingProxyType(
    {
        "verdict_id": 7,
        "job_id": JOB_ID,
        "attempt": 1,
        "series": "sft-7b",
        "step": 1500,
        "baseline_id": BASELINE_ID,
        "policy": "release",
        "by_series": True,
        "verdict": "no_go",
        "reason": "1 of 1 metric breached the gate: mmlu acc.",
        "at": "2026-11-24T09:41:19.020Z",
        "actor": "server",
    }
)
RULE = MappingProxyType(
    {
        "task": "*",
        "tier": "critical",
        "max_drop": 0.01,
        "confidence": 0.95,
        "missing": "inconclusive",
        "allow_unpaired": False,
    }
)


class RuleSchema(ResponseSchema):
    """A rule of a policy."""

    OPTIONAL_FIELDS = frozenset({"metric", "filter", "direction", "max_drop", "max_relative_drop"})

    task = fields.String(metadata=about("A pattern, like those of the next two."))
    metric = fields.String()
    filter = fields.String()
    tier = fields.Enum(Tier, by_value=fields.String)
    direction = fields.Enum(Direction, by_value=fields.String)
    max_drop = fields.Float()
    max_relative_drop = fields.Float()
    confidence = fields.Float()
    missing = fields.Enum(Missing, by_value=fields.String)
    allow_unpaired = fields.Boolean()


class DamageSchema(ResponseSchema):
    """How much worse a metric is than the baseline's: positive is worse."""

    value = fields.Float()
    low = fields.Float(allow_none=True, metadata=about("Lower bound of the interval."))
    high = fields.Float(allow_none=True, metadata=about("Upper bound of the interval."))
    method = fields.Enum(
        IntervalMethod,
        by_value=fields.String,
        allow_none=True,
        metadata=about("How the interval was computed, see `methods`; null if there is none."),
    )
    n = fields.Integer(
        allow_none=True, metadata=about("Number of paired documents; null if they are not paired.")
    )
    worse = fields.Integer(allow_none=True, metadata=about("How many of them became worse."))
    better = fields.Integer(allow_none=True, metadata=about("How many of them became better."))
    units = fields.Integer(
        allow_none=True,
        metadata=about("Number of independent ones: of their clusters, if they are in some."),
    )


class JudgementSchema(ResponseSchema):
    """What a gate says about one metric, or about a rule that no metric matches."""

    task = fields.String()
    metric = fields.String(allow_none=True)
    filter = fields.String(allow_none=True)
    tier = fields.Enum(Tier, by_value=fields.String)
    verdict = fields.Enum(MetricVerdict, by_value=fields.String)
    reason = fields.String(metadata=about("The verdict in words and numbers."))
    confidence = fields.Float(metadata=about("Confidence of the interval."))
    margin = fields.Float(
        allow_none=True, metadata=about("By how much the metric may be worse, in its unit.")
    )
    damage = fields.Nested(DamageSchema, allow_none=True)
    baseline_value = fields.Float(allow_none=True)
    job_value = fields.Float(allow_none=True)
    n_to_decide = fields.Integer(
        allow_none=True,
        metadata=about(
            "With about so many documents the interval would leave the margin out, if the damage"
            " stayed as it is; null if it does, or if no number is known."
        ),
    )


class KeptVerdictSchema(ResponseSchema):
    """A verdict that is kept, without its numbers."""

    EXAMPLE = VERDICT

    verdict_id = fields.Integer()
    job_id = JobId()
    attempt = fields.Integer(metadata=about("The attempt of the job whose result was judged."))
    series = fields.String(allow_none=True)
    step = fields.Integer(allow_none=True)
    baseline_id = fields.String(
        allow_none=True, metadata=about("null if there was nothing to compare with.")
    )
    policy = fields.String(
        allow_none=True, metadata=about("Its name; null if it was part of a request.")
    )
    by_series = fields.Boolean(
        metadata=about("Whether the gate of the job's series said it by itself.")
    )
    verdict = fields.Enum(GateVerdict, by_value=fields.String)
    reason = fields.String()
    at = Time()
    actor = fields.String()


class VerdictsSchema(ResponseSchema):
    """Verdicts, the newest first."""

    EXAMPLE = MappingProxyType({"verdicts": [dict(VERDICT)], "next": None})

    verdicts = fields.List(fields.Nested(KeptVerdictSchema))
    next = fields.Integer(
        allow_none=True, metadata=about("The `cursor` of the next page; null on the last one.")
    )


class GateSchema(KeptVerdictSchema):
    """A verdict with all of its numbers."""

    EXAMPLE = MappingProxyType(
        {
            **VERDICT,
            "rules": [dict(RULE)],
            "judgements": [
                {
                    "task": "mmlu",
                    "metric": "acc",
                    "filter": "none",
                    "tier": "critical",
                    "verdict": "breach",
                    "reason": "worse by 0.05 on 1000 paired documents (60 worse, 10 better): with"
                    " 95% confidence 0.03392 to 0.06689, wholly above the margin of 0.01",
                    "confidence": 0.95,
                    "margin": 0.01,
                    "damage": {
                        "value": 0.05,
                        "low": 0.03392,
                        "high": 0.06689,
                        "method": "score",
                        "n": 1000,
                        "worse": 60,
                        "better": 10,
                        "units": 1000,
                    },
                    "baseline_value": 0.525,
                    "job_value": 0.475,
                    "n_to_decide": None,
                }
            ],
            "n_to_decide": None,
            "not_judged": [],
            "methods": formulas_json(INTERVALS),
        }
    )

    verdict_id = fields.Integer(
        allow_none=True, metadata=about("null if the verdict was not kept, like `at` and `actor`.")
    )
    at = Time(allow_none=True)
    actor = fields.String(allow_none=True)
    rules = fields.List(
        fields.Nested(RuleSchema), metadata=about("The policy; the first that matches applies.")
    )
    judgements = fields.List(fields.Nested(JudgementSchema))
    n_to_decide = fields.Integer(
        allow_none=True,
        metadata=about(
            "With about so many documents of each task the verdict would not be inconclusive; null"
            " if it is not, or if no number is known."
        ),
    )
    not_judged = fields.List(
        fields.String(), metadata=about("Tasks of the job that no rule is for.")
    )
    methods = fields.Dict(
        keys=fields.String(),
        values=fields.Nested(MethodSchema),
        metadata=about("How the intervals are computed."),
    )
