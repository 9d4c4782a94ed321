"""lmms-engine's backend for evaluations, by our client: ``install`` puts it into the trainer.

lmms-engine 0.1.4 has ``EvalServerBackend``, which fails with the client of lmms-eval 0.7.3, keeps
nothing over a restart, and forgets a job when the server does not answer once.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from evalserver.training.checkpoint_evaluations import LOGGER, CheckpointEvaluations
from evalserver.training.evaluation import Evaluation
from evalserver.training.fault_log import FaultLog
from evalserver.training.submissions import known_fields

STATE_FILE = ".evalserver-training.json"
"""Beside the weights of a checkpoint: the state of the evaluations when it was saved."""

GIVE_UP_SECONDS = 600.0
"""The training does not end while evaluations are pending; but not for a server that is away."""

LOOK_SECONDS = 1.0
STANDARD_ERROR = "_stderr"
TRAINER = "lmms_engine.train.fsdp2.fsdp2_trainer"


def install(*, series: str, **fields: Any) -> None:
    """Have lmms-engine's trainer use our backend; call it before the trainer is made.

    ``fields`` are further arguments of ``CheckpointEvaluations``, beside ``eval_config``. Raises
    ImportError without lmms-engine, TypeError for a field that does not exist.
    """
    CheckpointEvaluations(**{"model": "", "tasks": [], **fields, "series": series}).close()
    backend = partial(EvalServerBackend, series=series, fields=fields)
    modules = [import_module(name) for name in ("lmms_engine.eval.backends", "lmms_engine.eval")]
    if TRAINER in sys.modules:
        modules.append(sys.modules[TRAINER])
    for module in modules:
        module.EvalServerBackend = backend  # type: ignore[attr-defined]


class EvalServerBackend:
    """What lmms-engine's trainer calls; the methods are those of its own backend."""

    def __init__(
        self,
        url: str | None = None,
        poll_interval: float = 20.0,
        eval_config: Mapping[str, Any] | None = None,
        *,
        series: str,
        fields: Mapping[str, Any] | None = None,
    ) -> None:
        """``eval_config`` is the trainer's; what is not a field of ours there is ignored."""
        config = {name: value for name, value in (eval_config or {}).items() if value is not None}
        known = known_fields() | {"model", "tasks", "token"}
        self.poll_interval = poll_interval
        self._faults = FaultLog(LOGGER)
        self._evaluations = CheckpointEvaluations(
            **{
                "base_url": url,
                "poll_s": poll_interval,
                "model_args_key": config.get("checkpoint_key", "model"),
                **{name: value for name, value in config.items() if name in known},
                **(fields or {}),
                "series": series,
            }
        )
        self._steps: set[int] = set()
        self._is_resumed = False

    def submit_eval(
        self,
        checkpoint_dir: str,
        step: int,
        eval_output_dir: str,
        checkpoint_type: str | None = None,
        output_path: str | None = None,
    ) -> None:
        """Have a checkpoint evaluated; at once, without the job's id."""
        fields: dict[str, Any] = {"output_dir": eval_output_dir}
        if checkpoint_type is not None:
            fields["lmms_engine_kwargs"] = {
                "model_path": checkpoint_dir,
                "checkpoint_type": checkpoint_type,
                "output_path": output_path,
            }
        try:
            if not self._is_resumed:
                self._is_resumed = True
                self._resume(Path(checkpoint_dir), step)
            self._keep_state(Path(checkpoint_dir))
            self._evaluations.submit(checkpoint_dir, step=step, **fields)
            self._steps.add(step)
        except Exception as error:
            text = f"the checkpoint of step {step} is not evaluated: {error!r}"
            self._faults.failed("submit_eval", repr(error), text)

    def check_and_get_completed(self) -> list[tuple[int, dict[str, float]]]:
        """Return steps and metrics (``eval/TASK_METRIC``) of what has completed; at once."""
        completed = []
        for evaluation in self._evaluations.collect():
            if evaluation.step is None:
                continue
            self._steps.discard(evaluation.step)
            evaluation.log_outcome(LOGGER)
            if metrics := dict(_named(evaluation)):
                completed.append((evaluation.step, metrics))
        return completed

    @property
    def pending_evals(self) -> dict[str, int]:
        """The steps whose evaluations have not been returned; the trainer ends when none is left.

        Empty, too, when the server has not answered for ``GIVE_UP_SECONDS``.
        """
        is_away = self._evaluations.silent_s > GIVE_UP_SECONDS
        is_done = self._evaluations.wait(LOOK_SECONDS) and not self._evaluations.uncollected
        steps = () if is_done or is_away else sorted(self._steps)
        return {f"step {step}": step for step in steps}

    def close(self) -> None:
        """Submit what is left, and stop."""
        self._evaluations.close()

    def _keep_state(self, checkpoint: Path) -> None:
        try:
            (checkpoint / STATE_FILE).write_text(json.dumps(self._evaluations.state_dict()))
        except OSError as error:
            text = f"a resumed run will log some results again: {error}"
            self._faults.failed("keeping the state", type(error).__name__, text)

    def _resume(self, checkpoint: Path, step: int) -> None:
        """Go on from the newest checkpoint before this one."""
        earlier = {
            number: path
            for path in checkpoint.parent.glob(f"*/{STATE_FILE}")
            if (number := _step(path.parent)) is not None and number < step
        }
        if earlier:
            self._evaluations.load_state_dict(json.loads(earlier[max(earlier)].read_text()))


def _step(checkpoint: Path) -> int | None:
    _, _, number = checkpoint.name.rpartition("-")
    return int(number) if number.isascii() and number.isdigit() else None


def _named(evaluation: Evaluation) -> Iterator[tuple[str, float]]:
    for number in evaluation.numbers():
        if not number.metric.endswith(STANDARD_ERROR):
            yield f"eval/{number.task}_{number.metric}", number.value
