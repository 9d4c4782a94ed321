"""Calls that list jobs, results and samples, and compare jobs."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal
from urllib.parse import quote

from evalserver.client.errors import Json
from evalserver.client.evaluations import job_path
from evalserver.client.sending import Call, Sender

PAGE_SIZE = 200


class ListingCalls:
    """Calls that list and compare."""

    _sender: Sender

    def jobs(
        self,
        *,
        job_id: str | None = None,
        batch_id: str | None = None,
        status: str | list[str] | tuple[str, ...] | None = None,
        model: str | None = None,
        task: str | None = None,
        engine: str | None = None,
        labels: Mapping[str, str] | None = None,
        series: str | None = None,
        step: int | None = None,
        submitted_by: str | None = None,
        result_check: str | None = None,
        failure: str | None = None,
        created_after: str | datetime | None = None,
        created_before: str | datetime | None = None,
        finished_after: int | None = None,
        search: str | None = None,
        sort: str | None = None,
    ) -> AsyncGenerator[Json, None]:
        """Yield the jobs that match all filters, newest submission first or in the order of
        ``sort``: ``created_at``, ``started_at``, ``completed_at``, ``duration``, ``priority``,
        ``status``, ``model`` or ``step``; ``-`` before it reverses the order.

        ``job_id`` is an id, or its beginning or end; ``batch_id`` that of a batch; ``model`` the
        model of a request, or the checkpoint in its ``model_args``; ``series`` the training run and
        ``step`` the step of the checkpoint. ``status`` may be several;
        ``created_after`` and ``created_before`` are ISO 8601 texts or datetimes.
        ``result_check`` is ``ok``, ``warnings`` or ``failed``, ``failure`` the code of a
        failure. ``search`` is the beginning or the last 8 characters of an id, or a part of a
        model's or a task's name, or of a text in ``model_args`` or ``harness_args``.
        With ``finished_after``, the ``event_id`` of a job, only jobs that finished later, in the
        order in which they finished.

        >>> newest = next(client.jobs(status="completed", task="mme"))
        >>> newest["job_id"] == job_id
        True
        >>> longest = next(client.jobs(sort="-duration"))
        >>> longest["status"]
        'completed'
        """
        query = {
            "status": ",".join(status) if isinstance(status, list | tuple) else status,
            "job_id": job_id,
            "batch_id": batch_id,
            "model": model,
            "task": task,
            "engine": engine,
            "label": [f"{name}={text}" for name, text in (labels or {}).items()],
            "series": series,
            "step": step,
            "submitted_by": submitted_by,
            "result_check": result_check,
            "failure": failure,
            "created_after": _iso_time(created_after),
            "created_before": _iso_time(created_before),
            "finished_after": finished_after,
            "search": search,
            "sort": sort,
            "limit": PAGE_SIZE,
        }
        return self._rows("/jobs", query, "jobs")

    async def results(self, job_id: str) -> list[Json]:
        """Return a job's metrics: one row per task, metric and filter.

        Each row has ``task``, ``metric``, ``filter``, ``value``, ``stderr``, ``n`` and
        ``higher_is_better``. Of a failed job these are the numbers that it has (its ``partial``).
        Raises RequestFailed (409) when it has none, and when the job has not finished.

        >>> [row] = client.results(job_id)
        >>> row["task"], row["metric"], row["value"], row["stderr"]
        ('mme', 'acc', 0.5, 0.01)
        """
        return list((await self.get_results(job_id))["results"])

    async def get_results(self, job_id: str) -> Json:
        """Return a job's metrics (``results``) with what they belong to, also of a pruned job:
        ``status``, ``attempt``, ``model``, ``engine``, ``tasks``, ``labels``, ``series``, ``step``,
        ``created_at`` and ``completed_at``, and whether it was ``pruned``.

        Raises as ``results`` does.

        >>> found = client.get_results(job_id)
        >>> found["status"], found["tasks"], len(found["results"])
        ('completed', ['mme'], 1)
        """
        return await self._sender.answer(Call("GET", f"{job_path(job_id)}/results"))

    def samples(
        self,
        job_id: str,
        task: str,
        only: Literal["right", "wrong"] | None = None,
        *,
        metric: str | None = None,
        filter: str | None = None,
    ) -> AsyncGenerator[Json, None]:
        """Yield a completed job's samples of a task, in the order of the harness's file.

        Each has ``index``, ``doc_id``, ``right``, and in ``sample`` what the harness wrote.
        ``only`` keeps right or wrong answers, as judged by ``metric`` and ``filter`` if there are
        several. Raises RequestFailed when no metric judges single samples.

        >>> [sample["doc_id"] for sample in client.samples(job_id, "mme")]
        [0, 1, 2, 3]
        """
        path = f"{job_path(job_id)}/samples/{quote(task, safe='')}"
        query = {"only": only, "metric": metric, "filter": filter, "limit": PAGE_SIZE}
        return self._rows(path, query, "samples")

    async def compare(self, *job_ids: str, batch_id: str | None = None) -> Json:
        """Compare the metrics of completed jobs with those of the first one, the baseline; with
        ``batch_id``, those of the completed jobs of a batch.

        ``rows`` has one row per task, metric and filter; its ``values`` are in the order of the
        jobs, each with ``value``, ``stderr``, ``n`` and ``difference``: None for the baseline, or
        else ``value``, ``stderr``, the interval from ``low`` to ``high``, ``exceeds_noise``, and
        the ``method``, whose formula and source are in ``methods``. Raises RequestFailed (409) when
        one is not completed.

        >>> rows = client.compare(baseline_id, job_id)["rows"]
        >>> rows[0]["values"][1]["difference"]["exceeds_noise"]
        False
        """
        return await self._sender.answer(
            Call("GET", "/compare", {"job": list(job_ids), "batch_id": batch_id})
        )

    def compare_samples(
        self,
        baseline_id: str,
        job_id: str,
        task: str,
        *,
        baseline_is: Literal["right", "wrong", "missing"] | None = None,
        job_is: Literal["right", "wrong", "missing"] | None = None,
        metric: str | None = None,
        filter: str | None = None,
        job_task: str | None = None,
        job_metric: str | None = None,
        job_filter: str | None = None,
        on_page: Callable[[Json], Any] | None = None,
    ) -> AsyncGenerator[Json, None]:
        """Yield the documents of a task with the samples of two completed jobs, flips first.

        Each has its ``change`` (such as ``right_to_wrong``), and under ``baseline`` and ``job``
        what ``samples`` has, or None if that job has no such document. ``baseline_is`` and
        ``job_is`` keep what that job has right or wrong, or does not have. ``metric`` and
        ``filter`` judge both jobs; ``job_task``, ``job_metric`` and ``job_filter`` are the second
        job's, where another harness calls them otherwise. ``on_page`` is called with each response
        of the server, which has the ``counts`` of all changes and ``warnings``.

        >>> [each["change"] for each in client.compare_samples(baseline_id, job_id, "mme")]
        ['unjudged', 'unjudged', 'unjudged', 'unjudged']
        """
        query = {
            "job": [baseline_id, job_id],
            "baseline_is": baseline_is,
            "job_is": job_is,
            "metric": metric,
            "filter": filter,
            "job_task": job_task,
            "job_metric": job_metric,
            "job_filter": job_filter,
            "limit": PAGE_SIZE,
        }
        path = f"/compare/samples/{quote(task, safe='')}"
        return self._rows(path, query, "documents", on_page)

    async def leaderboard(
        self,
        *,
        tasks: Sequence[str] = (),
        by: Literal["model", "series"] = "model",
        pick: Literal["latest", "best", "step"] = "latest",
        step: int | None = None,
        metric: str | None = None,
        filter: str | None = None,
        series: Sequence[str] = (),
        labels: Mapping[str, str] | None = None,
        engine: str | None = None,
        limit: float | Literal["all"] | None = None,
        paired: bool = True,
        top: int = 50,
    ) -> Json:
        """Return models, or series, by tasks.

        Of each model the latest job counts in each column, the best one, or that of ``step``.
        ``tasks``, ``metric`` and ``filter`` may be patterns (``mmlu_*``). ``limit`` keeps jobs
        whose request has this limit of documents, or none (``"all"``). ``columns`` has a task and
        metric each, evaluated in one way; ``entries`` has ``name``, ``mean`` and ``cells``, in the
        order of the columns: None, or ``value``, ``stderr``, ``job_id``, whether it is ``best``,
        and whether it ``differs`` from the best by more than chance explains. Without ``paired`` no
        samples are read for that.

        >>> board = client.leaderboard(tasks=["mme"])
        >>> board["entries"][0]["cells"][0]["best"]
        True
        """
        query = {
            "task": list(tasks),
            "by": by,
            "pick": pick,
            "step": step,
            "metric": metric,
            "filter": filter,
            "series": list(series),
            "label": [f"{name}={text}" for name, text in (labels or {}).items()],
            "engine": engine,
            "limit": limit,
            "paired": int(paired),
            "top": top,
            "format": "json",
        }
        return await self._sender.answer(Call("GET", "/leaderboard", query))

    async def usage(
        self,
        by: Literal["job", "token", "series", "model", "month"] = "month",
        *,
        since: str | datetime | None = None,
        until: str | datetime | None = None,
        limit: int = 100,
    ) -> Json:
        """Return what attempts used that ended at or after ``since`` and before ``until``.

        ``rows`` has ``name``, ``attempts``, ``seconds`` and ``gpu_seconds`` of at most ``limit``
        jobs, tokens, series or models, largest first, or of months, latest first; ``total`` the
        same of all. Pruned jobs count, erased ones do not.

        >>> client.usage("model", since="2020-01-01")["rows"][0]["name"]
        'dummy'
        """
        query = {"by": by, "since": _iso_time(since), "until": _iso_time(until), "limit": limit}
        return await self._sender.answer(Call("GET", "/usage", query))

    async def _rows(
        self,
        path: str,
        query: Mapping[str, Any],
        name: str,
        on_page: Callable[[Json], Any] | None = None,
    ) -> AsyncGenerator[Json, None]:
        """Yield the rows of every page, which are under the key ``name``."""
        cursor = None
        while True:
            page = await self._sender.answer(Call("GET", path, {**query, "cursor": cursor}))
            if on_page is not None:
                on_page(page)
            for row in page[name]:
                yield row
            cursor = page.get("next")
            if cursor is None:
                return


def _iso_time(value: str | datetime | None) -> str | None:
    # As usual in Python, a datetime without a zone is local time.
    return value.astimezone().isoformat() if isinstance(value, datetime) else value
