"""The table of destinations: what each needs, and how it is opened."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TypeVar

from evalserver.trackers.destination import Destination
from evalserver.trackers.json_lines import JsonLines
from evalserver.trackers.mlflow_runs import MlflowRuns
from evalserver.trackers.tensorboard_files import TensorboardFiles
from evalserver.trackers.wandb_runs import WandbRuns

T = TypeVar("T")


class MissingPackage(Exception):
    """The package of a tracker is not installed; says how to install it."""


@dataclass(frozen=True)
class Place:
    """Where to send: the values of the options, of which each destination takes some."""

    uri: str | None = None
    experiment: str | None = None
    project: str | None = None
    entity: str | None = None
    dir: Path | None = None
    file: Path | None = None

    def given(self) -> set[str]:
        """Return the names of the values that are given."""
        return {each.name for each in fields(self) if getattr(self, each.name) is not None}


@dataclass(frozen=True)
class Kind:
    """A destination: the values that it takes and needs, the extra to install, where a place is in
    words, and how it is opened with a directory for its own state."""

    takes: frozenset[str]
    needs: frozenset[str]
    extra: str | None
    describe: Callable[[Place], str]
    open: Callable[[Place, Path], Destination]


def _open_jsonl(place: Place, _state_dir: Path) -> Destination:
    return JsonLines(_given(place.file))


def _open_tensorboard(place: Place, state_dir: Path) -> Destination:
    return TensorboardFiles(_given(place.dir), state_dir)


def _open_mlflow(place: Place, _state_dir: Path) -> Destination:
    return MlflowRuns(place.uri, place.experiment or "evalserver")


def _open_wandb(place: Place, state_dir: Path) -> Destination:
    folder = state_dir if place.dir is None else place.dir
    return WandbRuns(_given(place.project), place.entity, folder)


def _describe_mlflow(place: Place) -> str:
    uri = place.uri or os.environ.get("MLFLOW_TRACKING_URI") or "MLflow's default"
    return f"{uri}, experiment {place.experiment or 'evalserver'}"


def _describe_wandb(place: Place) -> str:
    return f"{place.entity or os.environ.get('WANDB_ENTITY') or 'default entity'}/{place.project}"


DESTINATIONS: Mapping[str, Kind] = {
    "mlflow": Kind(
        frozenset({"uri", "experiment"}), frozenset(), "mlflow", _describe_mlflow, _open_mlflow
    ),
    "wandb": Kind(
        frozenset({"project", "entity", "dir"}),
        frozenset({"project"}),
        "wandb",
        _describe_wandb,
        _open_wandb,
    ),
    "tensorboard": Kind(
        frozenset({"dir"}),
        frozenset({"dir"}),
        "tensorboard",
        lambda place: str(_given(place.dir).absolute()),
        _open_tensorboard,
    ),
    "jsonl": Kind(
        frozenset({"file"}),
        frozenset({"file"}),
        None,
        lambda place: str(_given(place.file).absolute()),
        _open_jsonl,
    ),
}


def open_destination(to: str, place: Place, state_dir: Path) -> Destination:
    """Open a destination. Raises MissingPackage, Rejected, Unreachable, StateTaken, OSError."""
    kind = DESTINATIONS[to]
    try:
        return kind.open(place, state_dir)
    except ImportError as error:
        raise MissingPackage(
            f"--to {to} needs a package that cannot be imported ({error}):"
            f" pip install 'evalserver[{kind.extra}]'"
        ) from error


def _given(value: T | None) -> T:
    """Return a value that the destination needs."""
    if value is None:
        raise ValueError("a value that the destination needs is not given")
    return value
