"""Translates a filter of jobs to SQL.

A criterion is given by queries that yield the seq of the jobs which meet it, from an index and in
the order of submission. The same text finds these jobs, counts them, and tests one of them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from evalserver.core.lifecycle import Status

EARLIEST, LATEST = "", "~"
"""Sort before and after every time in the store."""


@dataclass(frozen=True)
class JobFilter:
    """Selects the jobs that meet all given criteria.

    One of ``statuses`` (none given: any), all of ``labels`` (each a name and a text); created at
    or after ``created_after`` and before ``created_before``, times in the store's format.
    ``job_id`` is an id, or its beginning or end; ``model`` the name of a model, or of the
    checkpoint that lists show in its place. ``result_check`` is the verdict of the check of the
    results, ``failure`` the code of a failure. ``search`` is the beginning or the end of an
    id, or a part of a model's or a task's name or of a model argument; ``search.py`` resolves it to
    names (``named``), and ``job_id`` to beginnings of ids (``ids``).
    """

    statuses: frozenset[Status] = frozenset()
    model: str | None = None
    task: str | None = None
    engine: str | None = None
    labels: tuple[tuple[str, str], ...] = ()
    submitted_by: str | None = None
    created_after: str | None = None
    created_before: str | None = None
    result_check: str | None = None
    failure: str | None = None
    job_id: str | None = None
    search: str | None = None
    named: tuple[tuple[str, str], ...] = ()
    ids: tuple[str, ...] = ()
    batch_id: str | None = None
    series: str | None = None
    step: int | None = None

    @property
    def has_times(self) -> bool:
        """Whether the filter restricts the creation time."""
        return self.created_after is not None or self.created_before is not None

    @property
    def times(self) -> dict[str, str]:
        """The parameters ``after`` and ``before``."""
        return {
            "after": self.created_after or EARLIEST,
            "before": self.created_before or LATEST,
        }


@dataclass(frozen=True)
class Criterion:
    """Queries that together yield the seq of every matching job once, and their parameters.

    All SQL below is restricted to the seqs from ``:low`` to ``:high``.
    """

    sources: tuple[str, ...]
    parameters: Mapping[str, Any]
    overlapping: bool = False
    """Several sources may yield the same job."""
    of_row: str | None = None
    """The criterion as a test of the row ``found`` of jobs, if possible: it may use an index."""

    @property
    def count(self) -> str:
        """SQL that counts the matching jobs, up to ``:most`` of each source."""
        return " + ".join(
            f"(SELECT count(*) FROM (SELECT seq FROM ({source})"  # noqa: S608
            " WHERE seq BETWEEN :low AND :high LIMIT :most))"
            for source in self.sources
        )

    @property
    def test(self) -> str:
        """SQL that tests whether the job ``found`` matches."""
        sources = " UNION ALL ".join(self.sources)
        return f"EXISTS (SELECT 1 FROM ({sources}) AS other WHERE other.seq = found.seq)"  # noqa: S608

    def newest(self, tests: list[str]) -> str:
        """SQL that selects the newest ``:most`` matching jobs that also pass all ``tests``."""
        also = "".join(f" AND {test}" for test in tests)
        union = " UNION " if self.overlapping else " UNION ALL "
        arms = union.join(
            f"SELECT * FROM (SELECT seq FROM ({source}) AS found"  # noqa: S608
            f" WHERE seq BETWEEN :low AND :high{also} ORDER BY seq DESC LIMIT :most)"
            for source in self.sources
        )
        return f"{arms} ORDER BY seq DESC LIMIT :most"


ALL_JOBS = Criterion(("SELECT seq FROM jobs",), {})

TEST_OF_TIMES = (
    "EXISTS (SELECT 1 FROM jobs WHERE jobs.seq = found.seq"
    " AND created_at >= :after AND created_at < :before)"
)
"""Whether the job ``found`` was created within the requested times."""


def criteria_of(wanted: JobFilter) -> Iterator[Criterion]:
    """The criteria of a filter, the most selective ones first.

    Without its times, which have no index in the order of submission.
    """
    if wanted.job_id is not None:
        yield _named(tuple(("id", each) for each in wanted.ids), "id")
    if wanted.search is not None:
        yield _named(wanted.named, "named")
    if wanted.batch_id is not None:
        yield _in_jobs("batch_id", "jobs_by_batch", wanted.batch_id)
    if wanted.series is not None:
        yield _in_jobs("series", "jobs_by_series", wanted.series)
    if wanted.step is not None:
        yield _in_jobs("step", "jobs_by_step", wanted.step)
    for number, (name, text) in enumerate(wanted.labels):
        yield _label(number, name, text)
    if wanted.task is not None:
        yield Criterion(("SELECT seq FROM job_tasks WHERE task = :task",), {"task": wanted.task})
    if wanted.failure is not None:
        yield _in_jobs("failure_code", "jobs_by_failure", wanted.failure)
    if wanted.result_check is not None:
        yield _in_jobs("result_status", "jobs_by_result_status", wanted.result_check)
    if wanted.model is not None:
        yield _model(wanted.model)
    if wanted.submitted_by is not None:
        yield _in_jobs("submitted_by", "jobs_by_submitter", wanted.submitted_by)
    if wanted.statuses and wanted.statuses != frozenset(Status):
        yield _one_of(wanted.statuses)
    if wanted.engine is not None:
        yield _in_jobs("engine", "jobs_by_engine", wanted.engine)


NAMED = {
    "id": "SELECT seq FROM jobs WHERE job_id >= :{0} AND job_id < :{0} || '~'",
    "model": "SELECT seq FROM jobs INDEXED BY jobs_by_model WHERE model = :{0}",
    "task": "SELECT seq FROM job_tasks WHERE task = :{0}",
    "argument": "SELECT seq FROM job_arguments WHERE instr(text, :{0}) > 0",
}
"""The jobs that match a name of each kind; ids match by beginning, arguments by a part."""


def _named(names: tuple[tuple[str, str], ...], prefix: str) -> Criterion:
    """One of these names, each with its kind; ``prefix`` begins the names of the parameters."""
    parameters = {f"{prefix}_{number}": name for number, (_, name) in enumerate(names)}
    sources = tuple(
        NAMED[kind].format(parameter)
        for parameter, (kind, _) in zip(parameters, names, strict=True)
    )
    nobody = "SELECT seq FROM jobs WHERE seq < 0"
    return Criterion(sources or (nobody,), parameters, overlapping=True)


def _one_of(statuses: frozenset[Status]) -> Criterion:
    parameters = {f"status_{status}": status.value for status in sorted(statuses)}
    return Criterion(
        tuple(
            f"SELECT seq FROM jobs INDEXED BY jobs_by_status WHERE status = :{name}"  # noqa: S608
            for name in parameters
        ),
        parameters,
        of_row=f"found.status IN ({', '.join(f':{name}' for name in parameters)})",
    )


def _model(name: str) -> Criterion:
    """The model of the request, or the title that lists show for it."""
    sources = (
        "SELECT seq FROM jobs INDEXED BY jobs_by_model WHERE model = :model",
        "SELECT seq FROM jobs INDEXED BY jobs_by_model_title WHERE model_title = :model",
    )
    test = "(found.model = :model OR found.model_title = :model)"
    return Criterion(sources, {"model": name}, overlapping=True, of_row=test)


def _in_jobs(column: str, index: str, value: str | int) -> Criterion:
    source = f"SELECT seq FROM jobs INDEXED BY {index} WHERE {column} = :{column}"  # noqa: S608
    return Criterion((source,), {column: value}, of_row=f"found.{column} = :{column}")


def _label(number: int, name: str, text: str) -> Criterion:
    source = f"SELECT seq FROM job_labels WHERE name = :name_{number} AND text = :text_{number}"  # noqa: S608
    return Criterion((source,), {f"name_{number}": name, f"text_{number}": text})
