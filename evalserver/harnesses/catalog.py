"""What a harness knows: its tasks and models, asked once per version and kept in the database.

The first answer has to be waited for. Later ones come from the store at once, while the harness's
version is looked up in the background; only another version (or other task definitions of the
lab's own) has the harness asked again.
"""

import asyncio
import contextlib
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import structlog

from evalserver.engines import Engine, Question
from evalserver.executors import Executor, ExecutorError
from evalserver.store import Store, StoreUnavailable
from evalserver.system.directory_listing import list_files

log = structlog.get_logger("evalserver.harnesses.catalog")

VERSION_SECONDS = 30.0
ANSWER_SECONDS = 300.0
VERSION_KEPT_SECONDS = 30.0
CONFIRMED_SECONDS = 5.0
"""So long the harness need not be looked at again, before a name is refused."""
CONFIRM_SECONDS = 15.0
"""How long a submission with an unknown name waits for the harness's word."""
DEFINITIONS = (".yaml", ".py")


class HarnessUnavailable(Exception):
    """The harness cannot be asked; says why."""


class Catalog:
    """Answers questions about harnesses, and owns the background tasks that refresh them."""

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
        """The harness's answer. Raises HarnessUnavailable, StoreUnavailable."""
        kept = await self._store.find_answer(engine, question.value)
        refresh = self._refresh(engine, question)
        if kept is not None:
            return kept.answer
        # Shielded: a client that gives up does not take the answer away from the others.
        return await asyncio.shield(refresh)

    async def version(self, engine: str) -> str:
        """The version of the harness, as it was at most ``VERSION_KEPT_SECONDS`` ago.

        All that ask at a time share one answer. Raises HarnessUnavailable.
        """
        asked_at, asking = self._versions.get(engine, (0.0, None))
        now = time.monotonic()
        if asking is None or (asking.done() and now - asked_at > VERSION_KEPT_SECONDS):
            asking = asyncio.create_task(self._version(engine), name=f"ask {engine}")
            self._versions[engine] = now, asking
        return await asyncio.shield(asking)

    async def _version(self, engine: str) -> str:
        try:
            asked = self._engines[engine]
            environment = {**self._environment, **asked.settings.environment}
            printed = await self._executor.ask(asked.version_argv(), environment, VERSION_SECONDS)
        except ExecutorError as error:
            raise HarnessUnavailable(f"The harness {engine} cannot be asked: {error}") from error
        # Behind it stands what else answers depend on.
        return printed.split()[0] if printed.strip() else "unknown"

    async def load(self) -> None:
        """Have at hand what was kept, for ``known``."""
        for engine in self._engines:
            for question in Question:
                kept = await self._store.find_answer(engine, question.value)
                if kept is not None:
                    self._known[engine, question] = frozenset(kept.answer)

    def warm(self, engines: Iterable[str]) -> None:
        """Ask these engines in the background for all that they have not answered yet."""
        for engine in engines:
            for question in Question:
                self._refresh(engine, question)

    def known(self, engine: str, question: Question) -> frozenset[str]:
        """The names that are at hand, without asking anybody; none: nobody has been asked yet."""
        return self._known.get((engine, question), frozenset())

    async def confirmed(self, engine: str, question: Question) -> frozenset[str]:
        """The names as the harness has them now.

        None, if there are none at hand, or if it cannot be asked, or not within seconds.
        """
        key = engine, question
        at = self._confirmed_at.get(key)
        if at is None or time.monotonic() - at > CONFIRMED_SECONDS:
            try:
                async with asyncio.timeout(CONFIRM_SECONDS):
                    await asyncio.shield(self._refresh(engine, question))
            except (TimeoutError, HarnessUnavailable, StoreUnavailable):
                return frozenset()
        return self.known(engine, question)

    async def close(self) -> None:
        """End what is being asked in the background."""
        tasks: list[asyncio.Task[Any]] = [*self._tasks.values()]
        tasks += (asking for _, asking in self._versions.values())
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
        environment = {**self._environment, **engine.settings.environment}
        try:
            version = await self._executor.ask(engine.version_argv(), environment, VERSION_SECONDS)
            definitions = await asyncio.to_thread(_own_definitions, engine.settings.include_path)
            version = f"{version.strip()} {definitions}"
            kept = await self._store.find_answer(name, question.value)
            if kept is not None and kept.version == version:
                self._note(name, question, kept.answer)
                return kept.answer
            output = await self._executor.ask(
                engine.question_argv(question), environment, ANSWER_SECONDS
            )
            answer = engine.parse_answer(output)
        except (ExecutorError, ValueError) as error:
            raise HarnessUnavailable(
                f"The harness {name} cannot be asked for its {question.value}: {error}"
            ) from error
        self._note(name, question, answer)
        with contextlib.suppress(StoreUnavailable):  # answered all the same, only not kept
            await self._store.keep_answer(name, question.value, version, answer)
        return answer

    def _note(self, name: str, question: Question, answer: list[str]) -> None:
        self._known[name, question] = frozenset(answer)
        self._confirmed_at[name, question] = time.monotonic()


def _own_definitions(include_path: str | None) -> str:
    """Changes whenever the lab's own task definitions do."""
    if include_path is None:
        return ""
    listing = list_files(Path(include_path))
    files = [status for name, status in listing.files if name.endswith(DEFINITIONS)]
    newest = max((status.st_mtime_ns for status in files), default=0)
    return f"{include_path} {len(files)} {newest}"
