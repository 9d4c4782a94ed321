"""Which files of Lightning's ``ModelCheckpoint`` are new, and of which step."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from evalserver.training.saved_checkpoints import SavedCheckpoints


@pytest.fixture
def callback() -> SimpleNamespace:
    """What is read of a ``ModelCheckpoint``."""
    return SimpleNamespace(best_model_path="", best_k_models={}, last_model_path="")


def write(path: Path, at: int) -> str:
    """Write a file, as of so many seconds after 1970; return its path."""
    path.touch()
    os.utime(path, (at, at))
    return str(path)


def test_a_checkpoint_is_found_once(tmp_path: Path, callback: SimpleNamespace) -> None:
    saved = SavedCheckpoints()
    callback.best_model_path = write(tmp_path / "a.ckpt", 1)

    assert list(saved.find_new([callback], 5)) == [(tmp_path / "a.ckpt", 5)]
    assert list(saved.find_new([callback], 6)) == []


def test_one_that_is_written_later_has_the_step_at_which_it_was_saved(
    tmp_path: Path, callback: SimpleNamespace
) -> None:
    saved = SavedCheckpoints()
    callback.best_k_models = {str(tmp_path / "a.ckpt"): 0.5}
    assert list(saved.find_new([callback], 5)) == []

    write(tmp_path / "a.ckpt", 1)

    assert list(saved.find_new([callback], 9)) == [(tmp_path / "a.ckpt", 5)]


def test_the_last_one_is_left_out_where_its_step_has_a_file_of_its_own(
    tmp_path: Path, callback: SimpleNamespace
) -> None:
    callback.best_model_path = write(tmp_path / "a.ckpt", 1)
    callback.last_model_path = write(tmp_path / "last.ckpt", 1)

    assert list(SavedCheckpoints().find_new([callback], 5)) == [(tmp_path / "a.ckpt", 5)]


def test_the_last_one_alone_is_found_each_time_that_it_is_written(
    tmp_path: Path, callback: SimpleNamespace
) -> None:
    saved = SavedCheckpoints()
    found = []
    for step in (1, 2, 3):
        callback.last_model_path = write(tmp_path / "last.ckpt", 1 if step == 1 else 2)
        found += list(saved.find_new([callback], step))

    assert found == [(tmp_path / "last.ckpt", 1), (tmp_path / "last.ckpt", 2)]


def test_what_a_resumed_run_knows_from_before_is_not_new(
    tmp_path: Path, callback: SimpleNamespace
) -> None:
    saved = SavedCheckpoints()
    callback.best_model_path = write(tmp_path / "a.ckpt", 1)
    callback.last_model_path = write(tmp_path / "last.ckpt", 1)

    saved.ignore([callback])

    assert list(saved.find_new([callback], 5)) == []


def test_a_callback_that_saves_nothing_is_no_fault() -> None:
    assert list(SavedCheckpoints().find_new([object()], 5)) == []
