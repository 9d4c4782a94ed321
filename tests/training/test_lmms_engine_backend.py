"""Our backend for lmms-engine's trainer; with the real trainer's methods in tests/end_to_end."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from evalserver.training.lmms_engine import STATE_FILE, EvalServerBackend
from tests.support import Api, until

CONFIG = {"model": "dummy", "tasks": ["mme"], "limit": 4, "server_url": "not for us"}


@pytest.fixture
def url(api: Api) -> str:
    """The address of the real application."""
    return str(api.session.make_url(""))


@pytest.fixture
async def backend(url: str) -> AsyncIterator[EvalServerBackend]:
    """The backend of a training."""
    backend = make(url)
    yield backend
    await asyncio.to_thread(backend.close)


def make(url: str) -> EvalServerBackend:
    """Return a backend that looks often."""
    return EvalServerBackend(url, 0.05, CONFIG, series="run1")


def save(output: Path, step: int) -> str:
    """Save a checkpoint, and return its path."""
    checkpoint = output / f"checkpoint-{step}"
    checkpoint.mkdir()
    (checkpoint / "weights").write_text("w")
    return str(checkpoint)


async def steps_until_none_is_pending(backend: EvalServerBackend) -> list[int]:
    """Return the steps that are logged when a training ends, in order."""
    steps: list[int] = []

    async def is_done() -> bool:
        is_pending = bool(await asyncio.to_thread(lambda: backend.pending_evals))
        steps.extend(step for step, _ in backend.check_and_get_completed())
        return not is_pending

    await until(is_done)
    return steps


async def test_the_trainer_waits_for_what_is_pending_and_loses_no_result(
    backend: EvalServerBackend, tmp_path: Path
) -> None:
    for step in (100, 200):
        backend.submit_eval(save(tmp_path, step), step, str(tmp_path / "eval"))

    assert await steps_until_none_is_pending(backend) == [100, 200]


async def test_metrics_have_the_names_of_lmms_engines_own_backend(
    backend: EvalServerBackend, tmp_path: Path
) -> None:
    backend.submit_eval(save(tmp_path, 100), 100, str(tmp_path / "eval"))
    completed: list[Any] = []

    async def is_completed() -> bool:
        completed.extend(backend.check_and_get_completed())
        return bool(completed)

    await until(is_completed)
    assert completed == [(100, {"eval/mme_acc": 0.5})]


async def test_a_resumed_training_logs_what_finished_after_its_last_checkpoint(
    backend: EvalServerBackend, url: str, tmp_path: Path
) -> None:
    for step in (100, 200):
        backend.submit_eval(save(tmp_path, step), step, str(tmp_path / "eval"))
        assert await steps_until_none_is_pending(backend) == [step]

    resumed = make(url)
    resumed.submit_eval(save(tmp_path, 300), 300, str(tmp_path / "eval"))

    assert await steps_until_none_is_pending(resumed) == [200, 300]
    await asyncio.to_thread(resumed.close)


async def test_a_checkpoint_into_which_nothing_can_be_written_is_evaluated_all_the_same(
    backend: EvalServerBackend, tmp_path: Path
) -> None:
    checkpoint = save(tmp_path, 100)
    (tmp_path / "checkpoint-100" / STATE_FILE).mkdir()

    backend.submit_eval(checkpoint, 100, str(tmp_path / "eval"))

    assert await steps_until_none_is_pending(backend) == [100]
