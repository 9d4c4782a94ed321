"""The smallest job of each real harness: one document, and a model that answers at once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tests.digits_model import make_digits_task
from tests.mock_model import MODEL, mock_answers

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class HarnessJob:
    """A job, the engine that it needs, and what makes the directory of its task, given one for its
    files."""

    engine: str
    make_tasks: Callable[[Path], Path]
    request: Mapping[str, Any]


def _request(model: str, task: str, **more: Any) -> Mapping[str, Any]:
    return MappingProxyType({"model": model, "tasks": [task], "limit": 1, "num_gpus": 0, **more})


def _make_digits(folder: Path) -> Path:
    tasks = folder / "tasks"
    tasks.mkdir()
    make_digits_task(tasks, folder / "hub")
    return tasks


JOBS = MappingProxyType(
    {
        "lm-eval": HarnessJob(
            "lm_eval", lambda _: ROOT / "examples" / "demo" / "tasks", _request("dummy", "capitals")
        ),
        "lmms-eval": HarnessJob("lmms_eval", _make_digits, _request("dummy", "digits_vqa")),
        "inspect": HarnessJob(
            "inspect",
            lambda _: ROOT / "tests" / "inspect_tasks",
            _request(MODEL, "capitals", model_args=mock_answers("Paris")),
        ),
    }
)
