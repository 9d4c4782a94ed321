"""The tasks and models that a harness knows, cached in the database per version.

The first answer has to be waited for. Later answers come from the store, while the version of the
harness is checked in the background; the harness is asked again only when its version or the lab's
own task definitions have changed.
"""

import asyncio
import contextlib
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import structlog

from evalserver.engines import Engine, Question
from evalserver.executors import Executor, ExecutorError
from evalserver.store import Store, StoreUnavailable
from evalserver.system.directory_listing import list_files

log = structlog.get_logger("evalserver.harnesses.catalog")

VERSION_TIMEOUT_SECONDS = 30.0
ANSWER_TIMEOUT_SECONDS = 300.0
VERSION_CACHE_SECONDS = 30.0
CONFIRMED_CACHE_SECONDS = 5.0
"""How long an answer is used to reject unknown names without asking the harness again."""
CONFIRM_TIMEOUT_SECONDS = 15.0
"""How long a submission with an unknown name waits for the harness's answer."""
DEFINITION_SUFFIXES = (".yaml", ".yml", ".py")


class HarnessUnavailable(Exception):
    """The harness cannot be asked; says why."""


@dataclass(frozen=True)
class Refreshed:
    """What an engine's harness answered when it was asked again, and after how many seconds.

    ``error`` says why it could not be asked; the earlier answers are kept then.
    """

    engine: str
    seconds: float
    version: str | None = None
    tasks: int | None = None
    models: int | None = None
    error: str | None = None


class Catalog:
    """Answers questions about harnesses, and owns the background tasks that refresh the answers."""

    def __init__(
        self,
        store: Store,
        engines: Mapping[str, Engine],
        environment: Mapping[str, str],
        executor: Executor,
    ) -> None:
        self._store = store
        self._engines = engines
        self._environment = environment
        self._executor = executor
        self._known: dict[tuple[str, Question], frozenset[str]] = {}
        self._confirmed_at: dict[tuple[str, Question], float] = {}
        self._tasks: dict[tuple[str, Question], asyncio.Task[list[str]]] = {}
        self._versions: dict[str, tuple[float, asyncio.Task[str]]] = {}

    async def answer(self, engine: str, question: Question) -> list[str]:
        """Return the harness's answer. Raises HarnessUnavailable, StoreUnavailable."""
        cached = await self._store.engine_cache.find(engine, question.value)
        refresh = self._refresh(engine, question)
        if cached is not None:
            return cached.answer
        # Shielded: other clients may wait for the same answer.
        return await asyncio.shield(refresh)

    async def version(self, engine: str) -> str:
        """Return the version of the harness, at most ``VERSION_CACHE_SECONDS`` old.

        Concurrent callers share one answer. Raises HarnessUnavailable.
        """
        asked_at, task = self._versions.get(engine, (0.0, None))
        now = time.monotonic()
        if task is None or (task.done() and now - asked_at > VERSION_CACHE_SECONDS):
            task = asyncio.create_task(self._ask_version(engine), name=f"ask {engine}")
            self._versions[engine] = now, task
        return await asyncio.shield(task)

    async def _ask_version(self, engine: str) -> str:
        try:
            asked = self._engines[engine]
            environment = {**self._environment, **asked.settings.environment}
            printed = await self._executor.ask(
                asked.version_argv(), environment, VERSION_TIMEOUT_SECONDS
            )
        except ExecutorError as error:
            raise HarnessUnavailable(f"The harness {engine} cannot be asked: {error}") from error
        # Other things that answers depend on follow the version.
        return printed.split()[0] if printed.strip() else "unknown"

    async def load(self) -> None:
        """Load the cached answers, for ``known``."""
        for engine in self._engines:
            for question in Question:
                cached = await self._store.engine_cache.find(engine, question.value)
                if cached is not None:
                    self._known[engine, question] = frozenset(cached.answer)

    def warm(self, engines: Iterable[str]) -> None:
        """Refresh the answers of these engines in the background."""
        for engine in engines:
            for question in Question:
                self._refresh(engine, question)

    async def refresh(self, engine: str) -> Refreshed:
        """Ask the harness for all names, whether or not anything has changed."""
        started_at = time.monotonic()
        try:
            version = await self._ask_version(engine)
            tasks = await self._ask_again(engine, Question.TASKS)
            models = await self._ask_again(engine, Question.MODELS)
        except (HarnessUnavailable, StoreUnavailable) as error:
            return Refreshed(engine, time.monotonic() - started_at, error=str(error))
        seconds = time.monotonic() - started_at
        return Refreshed(engine, seconds, version, len(tasks), len(models))

    async def _ask_again(self, engine: str, question: Question) -> list[str]:
        # What is being asked now may have read files that have changed since.
        while (running := self._tasks.get((engine, question))) is not None:
            await asyncio.wait([running])
        return await asyncio.shield(self._start(engine, question, force=True))

    def known(self, engine: str, question: Question) -> frozenset[str]:
        """Return the cached names, without asking the harness; empty if it was never asked."""
        return self._known.get((engine, question), frozenset())

    async def confirmed(self, engine: str, question: Question) -> frozenset[str]:
        """Return the names that the harness knows now.

        Empty if the harness does not answer within ``CONFIRM_TIMEOUT_SECONDS``.
        """
        key = engine, question
        at = self._confirmed_at.get(key)
        if at is None or time.monotonic() - at > CONFIRMED_CACHE_SECONDS:
            try:
                async with asyncio.timeout(CONFIRM_TIMEOUT_SECONDS):
                    await asyncio.shield(self._refresh(engine, question))
            except (TimeoutError, HarnessUnavailable, StoreUnavailable):
                return frozenset()
        return self.known(engine, question)

    async def close(self) -> None:
        """Cancel all background tasks."""
        tasks: list[asyncio.Task[Any]] = [*self._tasks.values()]
        tasks += (task for _, task in self._versions.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _refresh(self, engine: str, question: Question) -> asyncio.Task[list[str]]:
        return self._tasks.get((engine, question)) or self._start(engine, question)

    def _start(
        self, engine: str, question: Question, *, force: bool = False
    ) -> asyncio.Task[list[str]]:
        key = (engine, question)
        task = asyncio.create_task(self._ask(engine, question, force=force), name=f"ask {engine}")
        self._tasks[key] = task
        task.add_done_callback(lambda done: self._forget(key, done))
        return task

    def _forget(self, key: tuple[str, Question], task: asyncio.Task[list[str]]) -> None:
        del self._tasks[key]
        with contextlib.suppress(asyncio.CancelledError):
            error = task.exception()
            if error is not None:
                log.warning("a harness does not answer", engine=key[0], error=str(error))

    async def _ask(self, name: str, question: Question, *, force: bool) -> list[str]:
        """Ask the harness, unless its state is that of the cached answer; ``force``: always."""
        engine = self._engines[name]
        environment = {**self._environment, **engine.settings.environment}
        try:
            version = await self._executor.ask(
                engine.version_argv(), environment, VERSION_TIMEOUT_SECONDS
            )
            definitions = await asyncio.to_thread(
                _definitions_version, engine.settings.include_path
            )
            version = f"{version.strip()} {definitions}"
            cached = await self._store.engine_cache.find(name, question.value)
            if cached is not None and cached.version == version and not force:
                self._remember(name, question, cached.answer)
                return cached.answer
            output = await self._executor.ask(
                engine.question_argv(question), environment, ANSWER_TIMEOUT_SECONDS
            )
            answer = engine.parse_answer(output)
        except (ExecutorError, ValueError) as error:
            raise HarnessUnavailable(
                f"The harness {name} cannot be asked for its {question.value}: {error}"
            ) from error
        self._remember(name, question, answer)
        with contextlib.suppress(StoreUnavailable):  # the answer is only not cached
            await self._store.engine_cache.keep(name, question.value, version, answer)
        return answer

    def _remember(self, name: str, question: Question, answer: list[str]) -> None:
        self._known[name, question] = frozenset(answer)
        self._confirmed_at[name, question] = time.monotonic()


def _definitions_version(include_path: str | None) -> str:
    """Return a text that changes whenever the lab's own task definitions change."""
    if include_path is None:
        return ""
    digest = sha256()
    for name, status in list_files(Path(include_path)).files:
        if name.endswith(DEFINITION_SUFFIXES):
            line = f"{name}\0{status.st_size}\0{status.st_mtime_ns}\0"
            digest.update(line.encode(errors="replace"))
    return f"{include_path} {digest.hexdigest()}"
