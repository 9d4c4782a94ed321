"""Schemas of the response of ``GET /leaderboard``."""

from types import MappingProxyType

from marshmallow import fields

from evalserver.analysis.comparison import ALPHA, FORMULAS
from evalserver.analysis.holm import CORRECTION
from evalserver.analysis.significance import TESTS
from evalserver.web.schemas.compare_responses import (
    OTHER_JOB_ID,
    DifferenceSchema,
    MethodSchema,
    formula_json,
    formulas_json,
)
from evalserver.web.schemas.fields import about
from evalserver.web.schemas.responses import JOB_ID, JobId, ResponseSchema, Time


class ConsideredSchema(ResponseSchema):
    """Which jobs the leaderboard is made of."""

    jobs = fields.Integer(metadata=about("Completed jobs that the query selects."))
    newest = fields.Integer(metadata=about("Finished jobs, the newest, that are considered."))
    older_left_out = fields.Boolean()


class OtherMetricSchema(ResponseSchema):
    """A metric of the same task that is not shown."""

    metric = fields.String()
    filter = fields.String()


class LeaderboardColumnSchema(ResponseSchema):
    """A task's metric under one filter, evaluated in one way."""

    task = fields.String()
    metric = fields.String()
    filter = fields.String()
    higher_is_better = fields.Boolean(
        allow_none=True, metadata=about("null if unknown; then no entry is the best.")
    )
    engine = fields.String()
    limit = fields.Float(allow_none=True, metadata=about("Of documents; null without one."))
    num_fewshot = fields.Integer(allow_none=True, metadata=about("null if unknown."))
    task_version = fields.String(allow_none=True, metadata=about("null if unknown."))
    harness_args = fields.Raw(metadata=about("Options of the harness, an object."))
    documents = fields.List(
        fields.Integer(), metadata=about("The different numbers of documents of the entries.")
    )
    entries = fields.Integer(metadata=about("Entries that have a number."))
    other_metrics = fields.List(fields.Nested(OtherMetricSchema))


class LeaderboardCellSchema(ResponseSchema):
    """The number that counts for an entry in a column."""

    job_id = JobId()
    series = fields.String(allow_none=True)
    step = fields.Integer(allow_none=True)
    completed_at = Time()
    pruned = fields.Boolean()
    jobs = fields.Integer(metadata=about("Jobs of the entry that have such a number."))
    value = fields.Float()
    stderr = fields.Float(allow_none=True)
    n = fields.Integer(allow_none=True)
    best = fields.Boolean()
    differs = fields.Boolean(
        allow_none=True,
        metadata=about(
            "Whether it is worse than the best with `p_adjusted` of at most the significance level;"
            " null for the best, and without a test."
        ),
    )
    difference = fields.Nested(
        DifferenceSchema,
        allow_none=True,
        metadata=about("Its value minus that of the first of the best; null for that one."),
    )


class LeaderboardMeanSchema(ResponseSchema):
    """The unweighted mean of an entry over the columns that it has."""

    value = fields.Float()
    stderr = fields.Float(allow_none=True)
    columns = fields.Integer()
    missing = fields.List(
        fields.String(),
        metadata=about("Tasks without a number. Means over different tasks are not comparable."),
    )


class LeaderboardEntrySchema(ResponseSchema):
    """A model or a series."""

    name = fields.String()
    arguments = fields.Raw(
        metadata=about("Model arguments that tell it from others of the same name, an object.")
    )
    mean = fields.Nested(LeaderboardMeanSchema, allow_none=True)
    cells = fields.List(
        fields.Nested(LeaderboardCellSchema, allow_none=True),
        metadata=about("In the order of the columns; null where the entry has no number."),
    )


class LeaderboardTestsSchema(ResponseSchema):
    """How entries were tested against the best: the number of tests of each kind."""

    significance_level = fields.Float()
    max_read_bytes = fields.Integer(
        metadata=about("Of samples that one response reads; further tests are unpaired.")
    )
    paired = fields.Integer()
    unpaired = fields.Integer()
    bare = fields.Integer(metadata=about("Without standard errors: not tested."))


class LeaderboardSchema(ResponseSchema):
    """Models or series by tasks, the best first."""

    EXAMPLE = MappingProxyType(
        {
            "by": "model",
            "pick": "latest",
            "step": None,
            "considered": {"jobs": 2, "newest": 10_000, "older_left_out": False},
            "columns": [
                {
                    "task": "capitals",
                    "metric": "acc",
                    "filter": "none",
                    "higher_is_better": True,
                    "engine": "lm_eval",
                    "limit": None,
                    "num_fewshot": 0,
                    "task_version": "1.0",
                    "harness_args": {},
                    "documents": [48],
                    "entries": 2,
                    "other_metrics": [],
                }
            ],
            "columns_left_out": 0,
            "entries": [
                {
                    "name": "sft-7b",
                    "arguments": {},
                    "mean": None,
                    "cells": [
                        {
                            "job_id": JOB_ID,
                            "series": None,
                            "step": None,
                            "completed_at": "2026-11-24T09:41:17.350Z",
                            "pruned": False,
                            "jobs": 3,
                            "value": 0.75,
                            "stderr": 0.0632,
                            "n": 48,
                            "best": True,
                            "differs": None,
                            "difference": None,
                        }
                    ],
                },
                {
                    "name": "base-7b",
                    "arguments": {},
                    "mean": None,
                    "cells": [
                        {
                            "job_id": OTHER_JOB_ID,
                            "series": None,
                            "step": None,
                            "completed_at": "2026-11-23T09:41:17.350Z",
                            "pruned": False,
                            "jobs": 1,
                            "value": 0.7083,
                            "stderr": 0.0663,
                            "n": 48,
                            "best": False,
                            "differs": False,
                            "difference": {
                                "value": -0.0417,
                                "stderr": 0.0291,
                                "low": -0.0988,
                                "high": 0.0154,
                                "n": 48,
                                "method": "paired",
                                "exceeds_noise": False,
                                "improved": False,
                                "note": None,
                                "clusters": None,
                                "right_to_wrong": 2,
                                "wrong_to_right": 0,
                                "p_value": 0.5,
                                "test": "mcnemar",
                                "p_adjusted": 0.5,
                                "regressed": False,
                                "n_to_decide": 92,
                            },
                        }
                    ],
                },
            ],
            "entries_left_out": 0,
            "mean_of": [],
            "why_no_mean": "a mean needs two tasks or more",
            "tests": {
                "significance_level": ALPHA,
                "max_read_bytes": 268_435_456,
                "paired": 1,
                "unpaired": 0,
                "bare": 0,
            },
            "warnings": [],
            "methods": formulas_json(FORMULAS),
            "test_formulas": formulas_json(TESTS),
            "correction": formula_json(CORRECTION),
        }
    )

    by = fields.String()
    pick = fields.String()
    step = fields.Integer(allow_none=True)
    considered = fields.Nested(ConsideredSchema)
    columns = fields.List(fields.Nested(LeaderboardColumnSchema))
    columns_left_out = fields.Integer(metadata=about("Columns with the fewest entries."))
    entries = fields.List(
        fields.Nested(LeaderboardEntrySchema),
        metadata=about(
            "Those that lack the fewest columns first, then by mean, by their only value, or by how"
            " often they are best."
        ),
    )
    entries_left_out = fields.Integer(metadata=about("Beyond `top`."))
    mean_of = fields.List(fields.String(), metadata=about("The tasks of the means; or none."))
    why_no_mean = fields.String(allow_none=True)
    tests = fields.Nested(LeaderboardTestsSchema)
    warnings = fields.List(fields.String())
    methods = fields.Dict(keys=fields.String(), values=fields.Nested(MethodSchema))
    test_formulas = fields.Dict(keys=fields.String(), values=fields.Nested(MethodSchema))
    correction = fields.Nested(MethodSchema, metadata=about("How `p_adjusted` is computed."))
