"""Calls for one evaluation: submit, get, cancel, retry, prioritize."""

import uuid
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Literal
from urllib.parse import quote

from evalserver.client.errors import Json, RequestFailed
from evalserver.client.retries import Repeat
from evalserver.client.sending import IDEMPOTENCY_KEY, Call, Sender
from evalserver.core.request import REQUEST_FIELDS


def job_path(job_id: str) -> str:
    """Return the path of a job."""
    return f"/jobs/{quote(job_id, safe='')}"


def task_list(tasks: str | Sequence[str]) -> Sequence[str]:
    """Return tasks as the server takes them; one may be given by itself."""
    return [tasks] if isinstance(tasks, str) else tasks


class EvaluationCalls:
    """Calls for one evaluation."""

    _sender: Sender

    async def evaluate(
        self,
        model: str,
        tasks: str | Sequence[str],
        model_args: Mapping[str, Any] | None = None,
        num_fewshot: int | None = None,
        batch_size: int | str | None = None,
        device: str | None = None,
        limit: int | float | None = None,
        gen_kwargs: str | Mapping[str, Any] | None = None,
        log_samples: bool = True,
        predict_only: bool = False,
        num_gpus: int = 1,
        output_dir: str | None = None,
        *,
        num_processes: int | None = None,
        lmms_engine_kwargs: Mapping[str, Any] | None = None,
        engine: str | None = None,
        priority: int | None = None,
        labels: Mapping[str, str] | None = None,
        series: str | None = None,
        step: int | None = None,
        on_newer: str | None = None,
        on_full: str | None = None,
        timeout_s: float | None = None,
        stall_after_s: float | None = None,
        on_stall: str | None = None,
        max_attempts: int | None = None,
        seed: int | Sequence[int | None] | None = None,
        use_cache: bool | None = None,
        harness_args: Mapping[str, Any] | None = None,
        wait_for_path_s: float | None = None,
        lease: Literal["link", "copy", "mark"] | None = None,
        env_profile: str | None = None,
        executor: str | None = None,
        validate: bool = True,
        dry_run: bool = False,
        idempotency_key: str | None = None,
    ) -> Json:
        """Queue an evaluation. Returns ``job_id``, ``status``, ``position_in_queue``, ``message``.

        None leaves a field to the server. One task may be a text by itself. ``limit`` is a number
        of samples, or a fraction of them below 1; jobs of a higher ``priority`` start first;
        ``timeout_s`` limits the seconds of an attempt. Two submissions with the same
        ``idempotency_key`` are one job; by default each call makes its own key, so that a retry of
        the client does not create a second job. A server without support for keys (lmms-eval's)
        gets a retry only if it cannot have received the first request.

        The evaluation needs ``num_gpus`` GPUs (0: a model behind an API); ``num_processes`` of the
        harness load the model, by default one a GPU.

        ``series`` is the training run that the evaluation belongs to, ``step`` that of the
        checkpoint; ``submit_checkpoint`` sets both. With ``on_newer="supersede"``, your queued jobs
        of the series with the same engine, tasks and limit and a lower step are cancelled. With
        ``on_full="skip"``, no job is made when as many of the series wait as the operator allows:
        the ``status`` of the answer is ``skipped``, its ``job_id`` None.

        ``harness_args`` are options of the harness that have no field, such as
        ``{"apply_chat_template": True}``.

        An evaluation that writes nothing and uses no GPU for ``stall_after_s`` seconds has stalled:
        its record says so (``on_stall="warn"``), or it is stopped and fails (``"fail"``).

        The server waits ``wait_for_path_s`` seconds for a checkpoint that is still being written.
        ``lease`` keeps the checkpoint until the job has ended: ``"link"`` evaluates hard links to
        its files, ``"copy"`` a copy, ``"mark"`` puts a file into it that ``is_leased`` finds.
        ``env_profile`` names a set of variables for the harness that the server's operator made,
        ``executor`` where it runs: ``"local"``, the server's own machine, or a cluster.
        Unknown models and tasks and missing checkpoints are rejected unless ``validate`` is False.

        With ``dry_run`` nothing is queued; the answer is what the server would run: ``command``,
        ``shell`` (the same for a shell), ``directory``, ``files`` and ``request``.

        Raises RequestFailed when the request is rejected; its text names every error. Raises
        ValueError for a key that is not printable ASCII.

        >>> job = client.evaluate(model="dummy", tasks=["mme"], limit=8, labels={"run": "7b"})
        >>> job["status"]
        'queued'
        """
        parameters = locals()
        fields = {name: parameters[name] for name in REQUEST_FIELDS}
        fields["tasks"] = task_list(tasks)
        query = {**({} if validate else {"validate": 0}), **({"dry_run": 1} if dry_run else {})}
        key = idempotency_key or uuid.uuid4().hex
        if not (key.isascii() and key.isprintable()):
            raise ValueError(f"idempotency_key: it must be printable ASCII, not {key!a}")
        return await self._submit(fields, key, query)

    async def get_job(
        self, job_id: str, *, wait_s: float | None = None, since: int | None = None
    ) -> Json:
        """Return the job's record: status, times, request, result with metrics, error, and more.

        ``result_check`` says what is odd about the results, ``partial`` has the metrics of a job
        that failed but has some; a metric that is not finite is None.

        With ``wait_s`` (at most 60) the server responds when the job changes, at the latest after
        so many seconds; ``since`` is the ``event_id`` of the record that you have.

        Raises NotFound for an unknown job, Pruned for one that the server has removed.

        >>> client.get_job(job_id)["status"]
        'completed'
        """
        query = {"wait": wait_s, "since": since}
        look = Call("GET", job_path(job_id), query, server_wait_s=wait_s or 0.0)
        return await self._sender.answer(look)

    async def cancel_job(self, job_id: str) -> Json:
        """Cancel a queued or running job. Returns a ``message``.

        Raises RequestFailed when it has finished.

        >>> client.cancel_job(other_job_id)["message"]
        'Job ... cancelled...'
        """
        try:
            return await self._sender.answer(Call("DELETE", job_path(job_id)))
        except RequestFailed as error:
            if error.repeated and error.status == HTTPStatus.CONFLICT:
                return await self._confirm_cancelled(job_id, error)
            raise

    async def retry_job(self, job_id: str) -> Json:
        """Queue a finished job for another attempt. Returns what ``evaluate`` does.

        >>> client.retry_job(job_id)["status"]
        'queued'
        """
        path = f"{job_path(job_id)}/retry"
        return await self._sender.answer(Call("POST", path, repeat=Repeat.IF_NOT_RECEIVED))

    async def set_priority(self, job_id: str, priority: int) -> Json:
        """Change the priority of a queued job: jobs of a higher priority start first.

        Returns ``job_id``, ``status``, ``position_in_queue`` and a ``message``. Raises
        RequestFailed (409) when the job is not queued.

        >>> client.set_priority(waiting_id, 5)["message"]
        'Job ... has priority 5 now, and no jobs are before it'
        """
        change = Call("PATCH", job_path(job_id), body={"priority": priority})
        return await self._sender.answer(change)

    async def _submit(self, fields: Mapping[str, Any], key: str, query: Mapping[str, Any]) -> Json:
        body = {name: value for name, value in fields.items() if value is not None}
        submission = Call(
            "POST",
            "/evaluate",
            query,
            body=body,
            headers={IDEMPOTENCY_KEY: key},
            repeat=Repeat.WITH_KEY,
        )
        return await self._sender.answer(submission)

    async def _confirm_cancelled(self, job_id: str, error: RequestFailed) -> Json:
        """Return success if an earlier attempt cancelled the job and its response was lost."""
        job = await self.get_job(job_id)
        if job["status"] != "cancelled":
            raise error
        return {"message": f"Job {job_id} was cancelled"}
