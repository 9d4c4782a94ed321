"""A callback for Lightning's ``Trainer``."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from evalserver.training.checkpoint_evaluations import LOGGER, CheckpointEvaluations
from evalserver.training.evaluation import Evaluation
from evalserver.training.fault_log import FaultLog
from evalserver.training.never_raising import never_raising
from evalserver.training.saved_checkpoints import SavedCheckpoints

FLUSH_AFTER_EXCEPTION_SECONDS = 2.0

Export = Callable[[LightningModule, Path], str | os.PathLike[str]]


class EvalServerCallback(Callback):  # type: ignore[misc]
    """Has every checkpoint evaluated that a ``ModelCheckpoint`` saves, and logs the metrics at its
    step, to all loggers of the trainer, as ``eval/TASK/METRIC``.

    >>> evaluations = EvalServerCallback(
    ...     series="7b-run3", model="hf", tasks=["gsm8k"], export=save_for_evaluation
    ... )
    >>> trainer = Trainer(callbacks=[ModelCheckpoint(every_n_train_steps=100), evaluations])
    """

    def __init__(
        self,
        *,
        series: str,
        model: str,
        tasks: str | Sequence[str],
        export: Export | None = None,
        wait_at_end_s: float = 0.0,
        **options: Any,
    ) -> None:
        """``options`` are further arguments of ``CheckpointEvaluations``.

        ``export`` is called with the module and the path of each checkpoint, writes what the
        harness can load, and returns its path; None submits Lightning's own file. At the end of the
        training, it waits up to ``wait_at_end_s`` seconds for evaluations that have not finished.
        """
        self.faults = FaultLog(LOGGER)
        self._export = export
        self._wait_at_end_s = wait_at_end_s
        self._options = {**options, "series": series, "model": model, "tasks": tasks}
        self._state: Mapping[str, Any] = {}
        self._saved = SavedCheckpoints()
        # Made when the training starts: until then the callback can be copied and pickled.
        self._evaluations: CheckpointEvaluations | None = None
        self._make().close()  # what is wrong with the arguments is raised before the training

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs; Lightning stores it in its checkpoints."""
        return dict(self._state if self._evaluations is None else self._evaluations.state_dict())

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._state = state_dict

    @never_raising
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Go on from the checkpoint, if the run is resumed."""
        if not trainer.is_global_zero:
            return
        self._saved.ignore(trainer.checkpoint_callbacks)
        self._evaluations = self._make()
        self._evaluations.load_state_dict(self._state)
        if trainer.ckpt_path and trainer.global_step:
            # The run may have ended between saving and submitting.
            self._submit(pl_module, Path(trainer.ckpt_path), trainer.global_step)

    @never_raising
    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Submit what was saved after the last batch, and log what has finished."""
        # Not at the end of a batch, where ModelCheckpoint saves after the other callbacks.
        self._submit_saved(trainer, pl_module)
        self._log_finished(trainer)

    @never_raising
    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Submit what is left, and wait if asked to."""
        self._submit_saved(trainer, pl_module)
        if self._evaluations is not None and self._wait_at_end_s:
            self._evaluations.wait(self._wait_at_end_s)
        self._log_finished(trainer)
        self._close()

    @never_raising
    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Submit what is left, shortly."""
        self._submit_saved(trainer, pl_module)
        self._close(FLUSH_AFTER_EXCEPTION_SECONDS)

    def _make(self) -> CheckpointEvaluations:
        return CheckpointEvaluations(**self._options, is_main=True)

    def _close(self, *flush_s: float) -> None:
        if self._evaluations is not None:
            self._evaluations.close(*flush_s)
            self._state = self._evaluations.state_dict()
            self._evaluations = None

    def _submit_saved(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._evaluations is not None:
            for path, step in self._saved.find_new(
                trainer.checkpoint_callbacks, trainer.global_step
            ):
                self._submit(pl_module, path, step)

    def _submit(self, pl_module: LightningModule, path: Path, step: int) -> None:
        if self._evaluations is not None:
            exported = path if self._export is None else self._export(pl_module, path)
            self._evaluations.submit(exported, step=step)

    def _log_finished(self, trainer: Trainer) -> None:
        for evaluation in self._evaluations.collect() if self._evaluations else ():
            self._log(evaluation, trainer)

    @never_raising
    def _log(self, evaluation: Evaluation, trainer: Trainer) -> None:
        evaluation.log_outcome(LOGGER)
        metrics = {f"eval/{name}": value for name, value in evaluation.metrics.items()}
        if evaluation.step is None or not metrics:
            return
        for logger in trainer.loggers:
            logger.log_metrics(metrics, step=evaluation.step)
            logger.save()
