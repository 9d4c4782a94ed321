"""Submitting checkpoints and collecting results without making the training wait."""

import logging
import os
import time
from collections.abc import Mapping, Sequence
from threading import Condition, Thread
from types import TracebackType
from typing import Any, Self

from evalserver.client import EvalClient, RequestFailed, ServerUnreachable
from evalserver.client.errors import Json
from evalserver.training.evaluation import Evaluation
from evalserver.training.fault_log import FaultLog
from evalserver.training.harvest import Harvest
from evalserver.training.ranks import is_main_process
from evalserver.training.submissions import (
    Submission,
    UnsentSubmissions,
    is_final,
    require_known_fields,
    server_path,
)

LOGGER = logging.getLogger("evalserver.training")

FLUSH_SECONDS = 10.0
MAX_POLL_WHILE_WAITED_FOR = 2.0

THREAD = "evalserver-checkpoints"

SUBMITTING = "submitting checkpoints"
HARVESTING = "collecting results"


class CheckpointEvaluations:
    """The evaluations of one training run: a thread submits checkpoints and fetches results.

    ``submit``, ``collect`` and ``state_dict`` return at once and raise nothing, whatever the
    server does: it may be down, slow, reject a checkpoint or the token. Each such fault is logged
    once, to the logger ``evalserver.training``. What could not be sent is sent later.

    All methods may be called in every process of a distributed run; only the main one does
    something.

    >>> evaluations = CheckpointEvaluations(series="7b-run3", model="qwen2_vl", tasks=["mme"])
    >>> evaluations.submit("checkpoints/100", step=100)
    >>> for evaluation in evaluations.collect():
    ...     print(evaluation.step, evaluation.metrics)
    >>> evaluations.close()
    """

    def __init__(
        self,
        *,
        series: str,
        model: str,
        tasks: str | Sequence[str],
        base_url: str | None = None,
        token: str | None = None,
        poll_s: float = 15.0,
        is_main: bool | None = None,
        **fields: Any,
    ) -> None:
        """Nothing is sent before the first ``submit`` or ``collect``.

        ``base_url`` and ``token`` are those of ``EvalClient``; ``fields`` are further arguments of
        ``submit_checkpoint``, such as ``limit`` or ``on_newer``. The server is asked for results
        every ``poll_s`` seconds. ``is_main`` says whether this is the main process of a
        distributed run; None asks torch.distributed, or the variable ``RANK``.

        Raises ValueError and TypeError for arguments that can never work.
        """
        require_known_fields(fields)
        if poll_s <= 0:
            raise ValueError(f"poll_s: {poll_s!r} is not a number of seconds above 0")
        self._client = EvalClient(base_url, token=token, retry_for=0)
        self._series = series
        self._fields = {"series": series, "model": model, "tasks": tasks, **fields}
        self._poll_s = poll_s
        self._is_main = is_main
        self._unsent = UnsentSubmissions()
        self._harvest = Harvest(series)
        self._faults = FaultLog(LOGGER)
        self._changed = Condition()
        self._thread: Thread | None = None
        self._closed = False
        self._is_due = False
        self._waiting = 0
        self._settled = False
        self._last_contact = time.monotonic()

    def submit(self, path: str | os.PathLike[str], *, step: int, **fields: Any) -> None:
        """Have a checkpoint evaluated. ``fields`` are of this one, beside those of all.

        Submitting the same checkpoint again makes no second evaluation.
        """
        if not self.is_active:
            return
        dropped = self._unsent.append(Submission(server_path(path), step, fields))
        if dropped is not None:
            text = f"too many checkpoints wait for the server: step {dropped.step} is given up"
            self._faults.failed("keeping checkpoints", "full", text)
        with self._changed:
            self._settled = False
        self._wake()

    def collect(self) -> list[Evaluation]:
        """Return the evaluations that have finished, each once, in the order of finishing."""
        if not self.is_active:
            return []
        self._start()
        return self._harvest.take()

    def wait(self, timeout_s: float) -> bool:
        """Wait until every evaluation of the series has finished and can be collected.

        Returns False when that has not happened in ``timeout_s`` seconds.
        """
        if not self.is_active:
            return True
        with self._changed:
            if self._settled:
                return True
            self._waiting += 1
        self._wake()
        try:
            with self._changed:
                return self._changed.wait_for(lambda: self._settled, timeout_s)
        finally:
            with self._changed:
                self._waiting -= 1

    def close(self, flush_s: float = FLUSH_SECONDS) -> None:
        """Stop, after up to ``flush_s`` seconds for checkpoints that are not submitted yet.

        It does not wait for results: they are collected by whoever resumes from the state.
        """
        if self._thread is not None:
            self._wake()
            with self._changed:
                self._changed.wait_for(lambda: not self._unsent, flush_s)
        if self.is_active and self._unsent:
            steps = ", ".join(map(str, self._unsent.steps()))
            LOGGER.warning("not submitted: the checkpoints of steps %s", steps)
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def state_dict(self) -> Json:
        """Return what a resumed run needs, for the run's own checkpoint; plain JSON.

        It says which results have been collected, and which checkpoints were not submitted yet.
        """
        return {"cursor": self._harvest.cursor, "unsent": self._unsent.to_json()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where the run was when ``state_dict`` returned this. What finished since then is
        collected again. A state that cannot be read is logged and ignored."""
        try:
            unsent = [Submission(**each) for each in state.get("unsent", ())]
            self._harvest.go_on_from(state.get("cursor"))
        except (TypeError, ValueError, AttributeError) as error:
            LOGGER.warning("the state of the evaluations is not used: %s", error)
            return
        for submission in unsent:
            self.submit(submission.path, step=submission.step, **submission.fields)

    @property
    def is_active(self) -> bool:
        """Whether this process submits and collects: the main process, until ``close``."""
        is_main = is_main_process() if self._is_main is None else self._is_main
        return is_main and not self._closed

    @property
    def uncollected(self) -> int:
        """How many finished evaluations can be collected now."""
        return len(self._harvest)

    @property
    def silent_s(self) -> float:
        """The seconds since the server's last answer, or since the beginning."""
        return time.monotonic() - self._last_contact

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _start(self) -> None:
        with self._changed:
            if self._thread is None:
                self._thread = Thread(target=self._run, name=THREAD, daemon=True)
                self._thread.start()

    def _wake(self) -> None:
        self._start()
        with self._changed:
            self._is_due = True
            self._changed.notify_all()

    def _run(self) -> None:
        while not self._closed:
            try:
                self._exchange()
            except Exception as error:  # a thread that ended would lose every later checkpoint
                self._log_fault("evaluations", repr(error), f"evaluations: {error!r}")
            self._pause()
        self._client.close()

    def _pause(self) -> None:
        pause_s = min(self._poll_s, MAX_POLL_WHILE_WAITED_FOR) if self._waiting else self._poll_s
        with self._changed:
            self._changed.wait_for(lambda: self._is_due or self._closed, pause_s)
            self._is_due = False

    def _exchange(self) -> None:
        """Send what is unsent, and fetch what has finished."""
        if not self._send():
            return
        # Asked before the results: what finishes in between is among them.
        is_open = bool(self._unsent) or self._has_unfinished()
        is_harvested = self._fetch()
        with self._changed:
            self._settled = is_harvested and not is_open and not self._unsent
            self._changed.notify_all()

    def _send(self) -> bool:
        """Submit the checkpoints, until one has to wait. Returns whether there is a server."""
        while (submission := self._unsent.first()) and not self._closed:
            where = f"the checkpoint of step {submission.step}"
            try:
                self._client.submit_checkpoint(
                    submission.path, step=submission.step, **{**self._fields, **submission.fields}
                )
            except ServerUnreachable as error:
                text = f"{where} is submitted later: {self._client.base_url}: {error!r}"
                self._log_fault(SUBMITTING, type(error).__name__, text)
                return False
            except RequestFailed as error:
                if not is_final(error):
                    text = f"{where} is submitted later: {error}"
                    self._log_fault(SUBMITTING, str(error.status), text)
                    return True
                LOGGER.warning("%s is not evaluated: %s", where, error)
            except Exception as error:
                LOGGER.warning("%s is not evaluated: %r", where, error)
            else:
                self._faults.worked(SUBMITTING)
            self._last_contact = time.monotonic()
            self._unsent.remove(submission)
            with self._changed:
                self._changed.notify_all()
        return True

    def _has_unfinished(self) -> bool:
        if not self._waiting:
            return True
        try:
            jobs = self._client.jobs(status=["queued", "running"], series=self._series)
            return next(jobs, None) is not None
        except (RequestFailed, ServerUnreachable):
            return True

    def _fetch(self) -> bool:
        try:
            self._harvest.fetch(self._client)
        except (RequestFailed, ServerUnreachable) as error:
            reason = str(error.status) if isinstance(error, RequestFailed) else type(error).__name__
            text = f"results are collected later: {self._client.base_url}: {error!r}"
            self._log_fault(HARVESTING, reason, text)
            return False
        self._last_contact = time.monotonic()
        self._faults.worked(HARVESTING)
        return True

    def _log_fault(self, operation: str, reason: str, text: str) -> None:
        if not self._closed:  # afterwards, nothing happens "later"
            self._faults.failed(operation, reason, text)
