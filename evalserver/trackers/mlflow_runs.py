"""MLflow: a run for each time that a job finished, found by a tag before one is made.

A metric's timestamp is the completion of its job, so that sending it again writes the same row.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Any

from evalserver.trackers.destination import Rejected, Unreachable
from evalserver.trackers.records import Record, milliseconds

KEY = "evalserver.key"
"""The tag by which a run is found."""
COMPLETE = "evalserver.complete"
"""The tag of a run that has everything; written last."""

STATUSES = {"completed": "FINISHED", "failed": "FAILED", "cancelled": "KILLED"}

UNSAFE = re.compile(r"[^\w\-./ ]", re.ASCII)
MAX_KEY, MAX_PARAMETER, MAX_TAG = 250, 6000, 5000
METRICS_AT_ONCE, PARAMETERS_AT_ONCE, TAGS_AT_ONCE = 500, 100, 100

FINAL_ERRORS = {
    "BAD_REQUEST", "INVALID_PARAMETER_VALUE", "INVALID_STATE", "PERMISSION_DENIED",
    "RESOURCE_DOES_NOT_EXIST", "UNAUTHENTICATED", "ENDPOINT_NOT_FOUND", "CUSTOMER_UNAUTHORIZED",
    "FEATURE_DISABLED", "RESOURCE_LIMIT_EXCEEDED",
}  # fmt: skip
"""Errors that another attempt does not mend."""

QUIET = {
    # A request that is sent again after a lost answer would make a second run: this module looks
    # for the run first.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


class MlflowRuns:
    """The destination ``mlflow``."""

    def __init__(self, uri: str | None, experiment: str) -> None:
        """``uri`` is that of the tracking server; None: what MLflow's own settings say.

        Raises ImportError without mlflow, and Rejected if it cannot use the URI.
        """
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
        import mlflow
        from mlflow import entities
        from mlflow.exceptions import MlflowException

        self._entities: Any = entities
        self._error: type[Exception] = MlflowException
        try:
            self._client: Any = mlflow.MlflowClient(tracking_uri=uri)
        except MlflowException as error:
            # mlflow-skinny has no databases, and one is the default.
            raise Rejected(
                f"MLflow cannot use {uri or 'its default'}: {_first_line(error)};"
                " give the --uri of a tracking server"
            ) from error
        self._experiment = experiment
        self._experiment_id: str | None = None

    def send(self, record: Record) -> None:
        """Write the record into its run, unless that has it."""
        try:
            run = self._find(record) or self._create(record)
            if COMPLETE not in run.data.tags:
                self._fill(run.info.run_id, record)
        except self._error as error:
            raise self._translated(error, record) from error

    def flush(self) -> None:
        """Do nothing: what MLflow's server has answered is stored."""

    def close(self) -> None:
        """Do nothing: there is nothing open."""

    def _find(self, record: Record) -> Any | None:
        """Return the run for the record; others, which a lost answer can leave, are deleted."""
        found = list(
            self._client.search_runs(
                [self._id_of_experiment()],
                f"tags.`{KEY}` = '{record.key}'",
                max_results=50,
                order_by=["attributes.start_time ASC"],
            )
        )
        if not found:
            return None
        oldest, *others = sorted(
            found, key=lambda run: (COMPLETE not in run.data.tags, run.info.run_id)
        )
        for run in others:
            self._client.delete_run(run.info.run_id)
        return oldest

    def _create(self, record: Record) -> Any:
        self._client.create_run(
            self._id_of_experiment(),
            start_time=milliseconds(record.started_at or record.created_at),
            run_name=record.name,
            tags=dict(_texts({**_tags(record), KEY: record.key}, MAX_TAG)),
        )
        # Not what the call returned: a request whose answer was lost may be served only now.
        run = self._find(record)
        if run is None:
            raise Unreachable("MLflow has made a run, but does not list it yet")
        return run

    def _fill(self, run_id: str, record: Record) -> None:
        entities = self._entities
        at, step = milliseconds(record.completed_at), record.step or 0
        metrics = [entities.Metric(name, value, at, step) for name, value in metric_values(record)]
        params = [entities.Param(*each) for each in _texts(record.parameters, MAX_PARAMETER)]
        tags = [entities.RunTag(*each) for each in _texts(_tags(record), MAX_TAG)]
        for some in _pieces(params, PARAMETERS_AT_ONCE):
            self._client.log_batch(run_id, params=some)
        for some in _pieces(tags, TAGS_AT_ONCE):
            self._client.log_batch(run_id, tags=some)
        for some in _pieces(metrics, METRICS_AT_ONCE):
            self._client.log_batch(run_id, metrics=some)
        self._client.set_terminated(run_id, STATUSES[record.status], at)
        self._client.set_tag(run_id, COMPLETE, "true")

    def _id_of_experiment(self) -> str:
        if self._experiment_id is None:
            found = self._client.get_experiment_by_name(self._experiment)
            if found is None:
                self._experiment_id = str(self._client.create_experiment(self._experiment))
            elif found.lifecycle_stage != "active":
                raise Rejected(
                    f"the MLflow experiment {self._experiment!r} is deleted; restore it, or give"
                    " another --experiment"
                )
            else:
                self._experiment_id = str(found.experiment_id)
        return self._experiment_id

    def _translated(self, error: Exception, record: Record) -> Exception:
        text = _first_line(error)
        if getattr(error, "error_code", "") in FINAL_ERRORS:
            return Rejected(f"MLflow does not take job {record.job_id}: {text}")
        return Unreachable(f"MLflow: {text}")


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def metric_values(record: Record) -> Iterator[tuple[str, float]]:
    """Yield the numbers of a record under names that MLflow takes, each of them once."""
    taken: set[str] = set()
    for name, value in record.values():
        key = _key(name, is_taken=taken.__contains__)
        taken.add(key)
        yield key, value


def _key(name: str, is_taken: Callable[[str], bool] = lambda _: False) -> str:
    """Return a name with the characters that MLflow takes, no path that leads elsewhere."""
    key = "/".join(part.strip(".") or "_" for part in UNSAFE.sub("_", name).split("/"))
    if len(key) > MAX_KEY or is_taken(key):
        digest = sha256(name.encode()).hexdigest()[:8]
        key = f"{key[: MAX_KEY - 9]}-{digest}"
    return key


def _tags(record: Record) -> dict[str, str]:
    facts = {
        "job_id": record.job_id,
        "attempt": str(record.attempt),
        "status": record.status,
        "series": record.series,
        "step": None if record.step is None else str(record.step),
        "engine": record.engine,
        "tasks": ",".join(record.tasks),
        "link": record.link,
        "error": record.error,
        **{f"label.{name}": text for name, text in record.labels.items()},
        **{f"version.{name}": text for name, text in record.versions.items()},
    }
    tags = {f"evalserver.{name}": text for name, text in facts.items() if text is not None}
    return {**tags, "mlflow.note.content": f"[Job {record.job_id}]({record.link})"}


def _texts(values: Mapping[str, str], longest: int) -> Iterable[tuple[str, str]]:
    return {_key(name): text[:longest] for name, text in values.items()}.items()


def _pieces(values: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]
