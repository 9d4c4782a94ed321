"""What a harness knows: its tasks and models, asked once per version and kept in the database.

The first answer has to be waited for. Later ones come from the store at once, while the harness's
version is looked up in the background; only another version (or other task definitions of the
lab's own) has the harness asked again.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from pathlib import Path

import structlog

from evalserver.engines import Engine, Question
from evalserver.executors import ExecutorError
from evalserver.executors.ask import ask
from evalserver.store import Store, StoreUnavailable

log = structlog.get_logger("evalserver.catalog")

VERSION_SECONDS = 30.0
ANSWER_SECONDS = 300.0


class HarnessUnavailable(Exception):
    """The harness cannot be asked; says why."""


class Catalog:
    """Answers questions about harnesses, and owns the background tasks that refresh them."""

    def __init__(
        self,
        store: Store,
        engines: Mapping[str, Engine],
        environment: Mapping[str, str],
        include_path: str | None,
    ) -> None:
        self._store = store
        self._engines = engines
        self._environment = environment
        self._include_path = include_path
        self._tasks: dict[tuple[str, Question], asyncio.Task[list[str]]] = {}

    async def answer(self, engine: str, question: Question) -> list[str]:
        """The harness's answer. Raises HarnessUnavailable, StoreUnavailable."""
        kept = await self._store.find_answer(engine, question.value)
        refresh = self._refresh(engine, question)
        if kept is not None:
            return kept.answer
        # Shielded: a client that gives up does not take the answer away from the others.
        return await asyncio.shield(refresh)

    async def version(self, engine: str) -> str:
        """The version of the harness. Raises HarnessUnavailable."""
        try:
            printed = await ask(
                self._engines[engine].version_argv(), self._environment, VERSION_SECONDS
            )
        except ExecutorError as error:
            raise HarnessUnavailable(f"The harness {engine} cannot be asked: {error}") from error
        # Behind it stands what else answers depend on.
        return printed.split()[0] if printed.strip() else "unknown"

    async def close(self) -> None:
        """End what is being asked in the background."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _refresh(self, engine: str, question: Question) -> asyncio.Task[list[str]]:
        key = (engine, question)
        task = self._tasks.get(key)
        if task is None:
            task = asyncio.create_task(self._ask(engine, question), name=f"ask {engine}")
            self._tasks[key] = task
            task.add_done_callback(lambda done: self._forget(key, done))
        return task

    def _forget(self, key: tuple[str, Question], task: asyncio.Task[list[str]]) -> None:
        del self._tasks[key]
        with contextlib.suppress(asyncio.CancelledError):
            error = task.exception()
            if error is not None:
                log.warning("a harness could not be asked", engine=key[0], error=str(error))

    async def _ask(self, name: str, question: Question) -> list[str]:
        engine = self._engines[name]
        try:
            version = await ask(engine.version_argv(), self._environment, VERSION_SECONDS)
            version = f"{version.strip()} {await asyncio.to_thread(self._own_definitions)}"
            kept = await self._store.find_answer(name, question.value)
            if kept is not None and kept.version == version:
                return kept.answer
            output = await ask(engine.question_argv(question), self._environment, ANSWER_SECONDS)
            answer = engine.parse_answer(output)
        except (ExecutorError, ValueError) as error:
            raise HarnessUnavailable(
                f"The harness {name} cannot be asked for its {question.value}: {error}"
            ) from error
        with contextlib.suppress(StoreUnavailable):  # answered all the same, only not kept
            await self._store.keep_answer(name, question.value, version, answer)
        return answer

    def _own_definitions(self) -> str:
        """Changes whenever the lab's own task definitions do."""
        if self._include_path is None:
            return ""
        files = list(Path(self._include_path).rglob("*.yaml"))
        newest = max((file.stat().st_mtime_ns for file in files), default=0)
        return f"{self._include_path} {len(files)} {newest}"
