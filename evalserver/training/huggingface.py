"""A callback for Hugging Face's ``Trainer``, and what is derived from it (TRL, for example)."""

import copy
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import (
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from evalserver.training.checkpoint_evaluations import LOGGER, CheckpointEvaluations
from evalserver.training.evaluation import Evaluation
from evalserver.training.fault_log import FaultLog
from evalserver.training.never_raising import never_raising

STATE = "evalserver"
"""The key of our state in ``TrainerState.stateful_callbacks``, which is part of a checkpoint."""


class EvalServerCallback(TrainerCallback):  # type: ignore[misc]
    """Has every checkpoint evaluated that the trainer saves, and logs the metrics at its step.

    >>> trainer = Trainer(model=model, args=args, train_dataset=dataset)
    >>> trainer.add_callback(
    ...     EvalServerCallback(trainer, series="7b-run3", model="hf", tasks=["gsm8k"])
    ... )
    >>> trainer.train()

    Metrics are logged as ``eval_TASK/METRIC``, which Weights & Biases and TensorBoard show as
    ``eval/TASK/METRIC``, and are in ``trainer.state.log_history``.
    """

    def __init__(
        self,
        trainer: Trainer,
        *,
        series: str,
        model: str,
        tasks: str | Sequence[str],
        wait_at_end_s: float = 0.0,
        **options: Any,
    ) -> None:
        """``options`` are further arguments of ``CheckpointEvaluations``.

        At the end of the training, it waits up to ``wait_at_end_s`` seconds for evaluations that
        have not finished.
        """
        self.faults = FaultLog(LOGGER)
        self._trainer = trainer
        self._wait_at_end_s = wait_at_end_s
        self._options = {**options, "series": series, "model": model, "tasks": tasks}
        self._evaluations: CheckpointEvaluations | None = None
        self._make().close()  # what is wrong with the arguments is raised before the training

    @never_raising
    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Go on from the checkpoint, if the run is resumed."""
        if not state.is_world_process_zero:
            return
        self._come_first()
        self._evaluations = self._make()
        if state.global_step:
            self._evaluations.load_state_dict(state.stateful_callbacks.get(STATE, {}))
            # The run may have ended between saving and submitting.
            self._submit(args, state)

    @never_raising
    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Submit the checkpoint."""
        self._submit(args, state)

    @never_raising
    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Log what has finished."""
        self._log_finished(args, state)

    @never_raising
    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Submit what is left, and wait if asked to."""
        if self._evaluations is None:
            return
        if self._wait_at_end_s:
            self._evaluations.wait(self._wait_at_end_s)
        self._log_finished(args, state)
        self._evaluations.close()
        self._evaluations = None

    def _make(self) -> CheckpointEvaluations:
        return CheckpointEvaluations(**self._options, is_main=True)

    def _come_first(self) -> None:
        # Others close their files and runs in on_train_end, and metrics may come just before it.
        callbacks = self._trainer.callback_handler.callbacks
        if self in callbacks:
            callbacks.remove(self)
            callbacks.insert(0, self)

    def _submit(self, args: TrainingArguments, state: TrainerState) -> None:
        path = Path(args.output_dir, f"checkpoint-{state.global_step}")
        if self._evaluations is not None and path.exists():
            self._evaluations.submit(os.fspath(path), step=state.global_step)

    def _log_finished(self, args: TrainingArguments, state: TrainerState) -> None:
        if self._evaluations is None:
            return
        for evaluation in self._evaluations.collect():
            self._log(evaluation, args, state)
        state.stateful_callbacks[STATE] = self._evaluations.state_dict()

    @never_raising
    def _log(self, evaluation: Evaluation, args: TrainingArguments, state: TrainerState) -> None:
        evaluation.log_outcome(LOGGER)
        metrics = {f"eval_{name}": value for name, value in evaluation.metrics.items()}
        if evaluation.step is None or not metrics:
            return
        state.log_history.append({**metrics, "step": evaluation.step})
        # What Trainer.log does, for another step than the present one.
        then = copy.copy(state)
        then.global_step = evaluation.step
        self._trainer.callback_handler.on_log(args, then, TrainerControl(), metrics)
