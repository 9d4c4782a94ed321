"""The names that harnesses know: asked once, and again when something has changed."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from evalserver.engines import Question, make_engines
from evalserver.executors import LocalExecutor
from evalserver.harnesses.catalog import Catalog
from evalserver.store import Store
from tests.support import STAND_IN

LIST_FILES = """
import os
class TaskManager:
    def __init__(self, verbosity, include_path=None):
        open({asked!r}, "a").write("x")
        self.all_tasks = sorted(os.listdir(include_path)) if include_path else ["mme", "ai2d"]
"""
"""A harness that writes down when it is asked, and whose tasks are the names of the files."""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The stand-in harness on a path, without package metadata."""
    shutil.copytree(STAND_IN / "lmms_eval", tmp_path / "tree" / "lmms_eval")
    text = LIST_FILES.format(asked=str(tmp_path / "asked"))
    (tmp_path / "tree" / "lmms_eval" / "tasks.py").write_text(text)
    return tmp_path / "tree"


@pytest.fixture
def definitions(tmp_path: Path) -> Path:
    """A directory of task definitions."""
    place = tmp_path / "definitions"
    place.mkdir()
    (place / "a.yaml").write_text("task: a\n")
    return place


@pytest.fixture
async def catalog(store: Store, tree: Path) -> AsyncIterator[Catalog]:
    """The catalog of that harness."""
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    catalog = Catalog(store, make_engines(sys.executable, None, {}), environment, LocalExecutor())
    yield catalog
    await catalog.close()


def times_asked(tree: Path) -> int:
    """How often the harness was asked for its tasks."""
    return len((tree.parent / "asked").read_text())


async def test_concurrent_version_requests_share_one_interpreter(
    store: Store, tmp_path: Path
) -> None:
    counted = tmp_path / "counted"
    program = tmp_path / "python"
    program.write_text(f'#!/bin/sh\necho x >> "{counted}"\nexec "{sys.executable}" "$@"\n')
    program.chmod(0o700)
    catalog = Catalog(store, make_engines(str(program), None, {}), {}, LocalExecutor())

    asked = [catalog.version("lmms_eval") for _ in range(30)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    again = await asyncio.gather(catalog.version("lmms_eval"), return_exceptions=True)
    await catalog.close()

    assert counted.read_text() == "x\n"
    assert len({str(answer) for answer in [*answers, *again]}) == 1


async def test_a_harness_on_the_path_is_asked_once_while_nothing_changes(
    catalog: Catalog, tree: Path
) -> None:
    first = await catalog.confirmed("lmms_eval", Question.TASKS)
    await catalog._refresh("lmms_eval", Question.TASKS)

    assert first == {"mme", "ai2d"}
    assert times_asked(tree) == 1


async def test_a_changed_file_of_the_harness_renews_the_names(catalog: Catalog, tree: Path) -> None:
    await catalog.answer("lmms_eval", Question.TASKS)
    tasks = tree / "lmms_eval" / "tasks.py"
    tasks.write_text(tasks.read_text().replace("ai2d", "docvqa"))

    assert await catalog._refresh("lmms_eval", Question.TASKS) == ["docvqa", "mme"]


async def test_definitions_that_are_replaced_by_older_ones_renew_the_names(
    store: Store, tree: Path, definitions: Path
) -> None:
    engines = make_engines(sys.executable, str(definitions), {})
    catalog = Catalog(store, engines, {**os.environ, "PYTHONPATH": str(tree)}, LocalExecutor())
    (definitions / "b.yaml").write_text("task: b\n")
    first = await catalog.answer("lmms_eval", Question.TASKS)
    (definitions / "a.yaml").rename(definitions / "c.yaml")

    second = await catalog._refresh("lmms_eval", Question.TASKS)
    await catalog.close()

    assert (first, second) == (["a.yaml", "b.yaml"], ["b.yaml", "c.yaml"])


async def test_a_refresh_asks_even_if_nothing_has_changed(catalog: Catalog, tree: Path) -> None:
    await catalog.answer("lmms_eval", Question.TASKS)

    found = await catalog.refresh("lmms_eval")

    assert times_asked(tree) == 2
    assert (found.version, found.tasks, found.models, found.error) == ("unknown", 2, 1, None)


async def test_a_refresh_says_why_a_harness_cannot_be_asked_and_keeps_the_names(
    catalog: Catalog, tree: Path
) -> None:
    await catalog.answer("lmms_eval", Question.TASKS)
    (tree / "lmms_eval" / "tasks.py").write_text("import no_such_package\n")

    found = await catalog.refresh("lmms_eval")

    assert "No module named 'no_such_package'" in (found.error or "")
    assert catalog.known("lmms_eval", Question.TASKS) == {"mme", "ai2d"}
