"""What is sent of a finished job: its numbers, parameters, versions and link, without secrets."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from evalserver.core.masking import mask_text, masked
from evalserver.core.model_title import model_title

Json = dict[str, Any]

PARAMETERS = (
    "model", "model_args", "num_fewshot", "batch_size", "device", "limit", "gen_kwargs", "seed",
    "num_gpus", "harness_args", "env_profile", "executor",
)  # fmt: skip
"""The fields of a request that say how it was evaluated."""

VERSIONS = ("evalserver", "harness_version", "git_commit", "python", "packages", "gpu_names")
"""What of the provenance says with which software and hardware."""

NO_FILTER = (None, "", "none")


@dataclass(frozen=True)
class Number:
    """A metric of a task; ``value`` is None if it is not finite."""

    task: str
    metric: str
    filter: str | None
    value: float | None
    stderr: float | None
    n: int | None
    higher_is_better: bool | None

    @property
    def name(self) -> str:
        """``task/metric``, and the filter where there is one."""
        return self._name(self.metric)

    @property
    def stderr_name(self) -> str:
        """The name of its standard error."""
        return self._name(f"{self.metric}_stderr")

    def _name(self, metric: str) -> str:
        parts = (self.task, metric, *(() if self.filter in NO_FILTER else (str(self.filter),)))
        return "/".join(parts)


@dataclass(frozen=True)
class Record:
    """A job as it finished with one event of the audit log.

    A job that was retried has a record for each time that it finished. Times are ISO 8601, in UTC.
    """

    job_id: str
    event_id: int
    attempt: int
    status: str
    title: str
    engine: str
    tasks: tuple[str, ...]
    series: str | None
    step: int | None
    labels: Mapping[str, str]
    created_at: str
    started_at: str | None
    completed_at: str
    error: str | None
    link: str
    parameters: Mapping[str, str]
    versions: Mapping[str, str]
    numbers: tuple[Number, ...]

    @property
    def key(self) -> str:
        """Tells the record from all others, also of the same job."""
        return f"{self.job_id}/{self.event_id}"

    @property
    def name(self) -> str:
        """What people call it: the series and the step, or the model."""
        if self.series is None:
            return self.title
        return self.series if self.step is None else f"{self.series} step {self.step}"

    def values(self) -> Iterable[tuple[str, float]]:
        """Yield the finite numbers and their standard errors by name."""
        for number in self.numbers:
            if number.value is not None:
                yield number.name, number.value
            if number.value is not None and number.stderr is not None:
                yield number.stderr_name, number.stderr


def record_of(job: Json, results: Json | None, event_id: int, site: str) -> Record:
    """Return the record of a job that finished with this event; its page is on ``site``.

    ``results`` is what the server answers for its results, None without any. Of a pruned job,
    ``job`` is that too. Secrets are masked: the submitter's own token gets them unmasked.
    """
    request = masked({**job.get("request", {})})
    model = mask_text(str(job.get("model") or request.get("model", "")))
    provenance = masked(job.get("provenance") or {})
    first_line = (job.get("error") or "").partition("\n")[0]
    # A failed job may have numbers of some of its tasks: they are not its result.
    rows = (results or {}).get("results", ()) if job["status"] == "completed" else ()
    return Record(
        job_id=job["job_id"],
        event_id=event_id,
        attempt=job["attempt"],
        status=job["status"],
        title=model_title({**request, "model": model}),
        engine=job["engine"],
        tasks=tuple(job.get("tasks") or request["tasks"]),
        series=job["series"],
        step=job["step"],
        labels=masked(job["labels"]),
        created_at=job["created_at"],
        started_at=job.get("started_at"),
        completed_at=job["completed_at"],
        error=mask_text(first_line) or None,
        link=f"{site}/ui/jobs/{job['job_id']}",
        parameters=_flat({"model": model, **{name: request.get(name) for name in PARAMETERS[1:]}}),
        versions=_flat({name: provenance.get(name) for name in VERSIONS}),
        numbers=tuple(_number(row) for row in rows),
    )


def milliseconds(time: str) -> int:
    """Return a time of a record in milliseconds since 1970."""
    return round(datetime.fromisoformat(time).timestamp() * 1000)


def _number(row: Json) -> Number:
    names = ("task", "metric", "filter", "value", "stderr", "n", "higher_is_better")
    values: Json = {name: row.get(name) for name in names}
    return Number(**values)


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return values as texts, those of an object by ``name.key``, without those that are absent."""
    found: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{name}.")
        elif value is not None:
            found[f"{prefix}{name}"] = value if isinstance(value, str) else json.dumps(value)
    return found
