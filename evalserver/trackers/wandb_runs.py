"""Weights & Biases: a run of its own for each time that a job finished, grouped by series.

The run's id is made from the job, so that a job that is sent again finds its run. The trainer's
own run is left alone: ``docs/trackers.md`` says why. The numbers are one row of the run's history,
with ``eval/step`` as their axis: ``step=`` would be the number of rows that the run has logged.
"""

import shutil
from pathlib import Path
from typing import Any

from evalserver.trackers.destination import Rejected, Unreachable
from evalserver.trackers.records import Record

PREFIX = "eval/"
STEP = f"{PREFIX}step"

SENT_NAME = "evalserver-sent"
"""In the directory of an offline run: it is complete."""

MAX_TAG = 64

EXIT_CODES = {"completed": 0, "failed": 1, "cancelled": 1}


class WandbRuns:
    """The destination ``wandb``, online or, with ``WANDB_MODE=offline``, in files."""

    def __init__(self, project: str, entity: str | None, directory: Path) -> None:
        """Raises ImportError without wandb, Rejected if W&B is switched off, and OSError if the
        directory cannot be made."""
        import wandb

        self._wandb: Any = wandb
        mode = wandb.setup().settings.mode
        if mode == "disabled":
            raise Rejected("W&B is switched off: WANDB_MODE is 'disabled'; unset it")
        self._is_offline = mode in ("offline", "dryrun")
        self._project = project
        self._entity = entity
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    def send(self, record: Record) -> None:
        """Write the record as a run, unless there is that run with its numbers."""
        if self._has_offline(record):
            return
        try:
            run = self._open(record)
            if run.starting_step == 0:
                _fill(run, record)
            run.finish(exit_code=EXIT_CODES[record.status])
        except (self._wandb.errors.UsageError, self._wandb.errors.AuthenticationError) as error:
            raise Rejected(f"W&B does not take job {record.job_id}: {error}") from error
        except self._wandb.Error as error:
            raise Unreachable(f"W&B: {error}") from error
        self._put_away(Path(run.dir).parent)

    def flush(self) -> None:
        """Do nothing: a run that has finished is stored."""

    def close(self) -> None:
        """End W&B's own process."""
        self._wandb.teardown()

    def _open(self, record: Record) -> Any:
        settings = self._wandb.Settings(
            silent=True,
            console="off",
            disable_git=True,
            # Not about this machine and process: the evaluation ran elsewhere.
            x_disable_meta=True,
            x_disable_stats=True,
            x_save_requirements=False,
        )
        return self._wandb.init(
            project=self._project,
            entity=self._entity,
            dir=str(self._directory),
            id=run_id(record),
            resume=None if self._is_offline else "allow",
            reinit="create_new",
            name=record.name,
            group=record.series,
            job_type="eval",
            notes=record.link,
            tags=[text[:MAX_TAG] for text in _tags(record)],
            config=_config(record),
            settings=settings,
        )

    def _has_offline(self, record: Record) -> bool:
        """Return whether the record was written as a file; what a crash left of it is removed."""
        for folder in self._folders(record):
            if (folder / SENT_NAME).exists():
                return True
            shutil.rmtree(folder)
        return False

    def _folders(self, record: Record) -> list[Path]:
        return sorted((self._directory / "wandb").glob(f"offline-run-*-{run_id(record)}"))

    def _put_away(self, folder: Path) -> None:
        if self._is_offline:
            (folder / SENT_NAME).touch()
        else:
            shutil.rmtree(folder, ignore_errors=True)


def run_id(record: Record) -> str:
    """Return the id of the run for a record."""
    return f"{record.job_id}-{record.event_id}"


def _fill(run: Any, record: Record) -> None:
    run.define_metric(STEP)
    run.define_metric(f"{PREFIX}*", step_metric=STEP)
    row = {f"{PREFIX}{name}": value for name, value in record.values()}
    if row:
        run.log({STEP: record.step or 0, **row})
    facts = {"status": record.status, "completed_at": record.completed_at, "error": record.error}
    run.summary.update(
        {f"evalserver/{name}": value for name, value in facts.items() if value is not None}
    )


def _config(record: Record) -> dict[str, Any]:
    facts = {
        "job_id": record.job_id,
        "attempt": record.attempt,
        "engine": record.engine,
        "tasks": list(record.tasks),
        "series": record.series,
        "step": record.step,
        "labels": dict(record.labels),
        "link": record.link,
        "versions": dict(record.versions),
    }
    return {**record.parameters, "evalserver": facts}


def _tags(record: Record) -> list[str]:
    return [record.status, *(f"{name}:{text}" for name, text in record.labels.items() if text)]
