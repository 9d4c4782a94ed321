"""Calls that give many: jobs, the numbers and samples of one, and the numbers of several."""

from collections.abc import AsyncGenerator, Mapping
from datetime import datetime
from typing import Any, Literal
from urllib.parse import quote

from evalserver.client.errors import Json
from evalserver.client.evaluations import job_path
from evalserver.client.sending import Call, Sender

PAGE_SIZE = 200


class ListingCalls:
    """Jobs, results, samples, comparison."""

    _sender: Sender

    def jobs(
        self,
        *,
        status: str | list[str] | tuple[str, ...] | None = None,
        model: str | None = None,
        task: str | None = None,
        engine: str | None = None,
        labels: Mapping[str, str] | None = None,
        submitted_by: str | None = None,
        created_after: str | datetime | None = None,
        created_before: str | datetime | None = None,
        finished_after: int | None = None,
        search: str | None = None,
        sort: str | None = None,
    ) -> AsyncGenerator[Json, None]:
        """The jobs that meet all that is given, the newest submission first, or as ``sort`` says:
        by ``created_at``, ``started_at``, ``completed_at``, ``duration``, ``priority``, ``status``
        or ``model``, and with ``-`` before it the other way round.

        ``status`` may be several; ``created_after`` and ``created_before`` are ISO 8601 texts or
        datetimes. ``search`` is the beginning of an id, or a part of a model's or a task's name, or
        of a text in ``model_args``.
        With ``finished_after``, the ``event_id`` of a job, those that finished later, in the order
        in which they did.

        >>> newest = next(client.jobs(status="completed", task="mme"))
        >>> newest["job_id"] == job_id
        True
        >>> longest = next(client.jobs(sort="-duration"))
        >>> longest["status"]
        'completed'
        """
        query = {
            "status": ",".join(status) if isinstance(status, list | tuple) else status,
            "model": model,
            "task": task,
            "engine": engine,
            "label": [f"{name}={text}" for name, text in (labels or {}).items()],
            "submitted_by": submitted_by,
            "created_after": _iso_time(created_after),
            "created_before": _iso_time(created_before),
            "finished_after": finished_after,
            "search": search,
            "sort": sort,
            "limit": PAGE_SIZE,
        }
        return self._rows("/jobs", query, "jobs")

    async def results(self, job_id: str) -> list[Json]:
        """A completed job's numbers: a row a task, metric and filter.

        Each has ``task``, ``metric``, ``filter``, ``value``, ``stderr``, ``n`` and
        ``higher_is_better``. Raises RequestFailed (409) when the job is not completed.

        >>> [row] = client.results(job_id)
        >>> row["task"], row["metric"], row["value"], row["stderr"]
        ('mme', 'acc', 0.5, 0.01)
        """
        answer = await self._sender.answer(Call("GET", f"{job_path(job_id)}/results"))
        return list(answer["results"])

    def samples(
        self,
        job_id: str,
        task: str,
        only: Literal["right", "wrong"] | None = None,
        *,
        metric: str | None = None,
        filter: str | None = None,
    ) -> AsyncGenerator[Json, None]:
        """A completed job's samples of a task, in the order of the harness's file.

        Each has ``index``, ``doc_id``, ``right``, and under ``sample`` what the harness wrote. With
        ``only`` those that were answered so, by ``metric`` and under ``filter`` where there are
        several. Raises RequestFailed when no metric says so of single samples.

        >>> [sample["doc_id"] for sample in client.samples(job_id, "mme")]
        [0]
        """
        path = f"{job_path(job_id)}/samples/{quote(task, safe='')}"
        query = {"only": only, "metric": metric, "filter": filter, "limit": PAGE_SIZE}
        return self._rows(path, query, "samples")

    async def compare(self, *job_ids: str) -> Json:
        """How the numbers of completed jobs differ from those of the first one, the baseline.

        ``rows`` has a row a task, metric and filter; its ``values`` are in the order of the jobs,
        each with ``value``, ``stderr``, ``n`` and ``difference``: None for the baseline, or else
        ``value``, ``stderr``, the interval from ``low`` to ``high``, ``exceeds_noise``, and the
        ``method``, of which ``methods`` tells formula and source. Raises RequestFailed (409) when
        one is not completed.

        >>> rows = client.compare(baseline_id, job_id)["rows"]
        >>> rows[0]["values"][1]["difference"]["exceeds_noise"]
        False
        """
        return await self._sender.answer(Call("GET", "/compare", {"job": list(job_ids)}))

    async def _rows(
        self, path: str, query: Mapping[str, Any], name: str
    ) -> AsyncGenerator[Json, None]:
        """The rows that each page holds under ``name``, to the last page."""
        cursor = None
        while True:
            page = await self._sender.answer(Call("GET", path, {**query, "cursor": cursor}))
            for row in page[name]:
                yield row
            cursor = page.get("next")
            if cursor is None:
                return


def _iso_time(value: str | datetime | None) -> str | None:
    # As everywhere in Python, a datetime without a zone is of this machine's.
    return value.astimezone().isoformat() if isinstance(value, datetime) else value
