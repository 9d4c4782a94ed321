"""Shared by the tests of scheduling: a store and a scheduler that starts nothing by itself."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from evalserver.attempts.attempts import Attempts
from evalserver.attempts.conclusion import Concluder, Policy
from evalserver.attempts.launch import LaunchContext, Planner
from evalserver.attempts.launcher import Launcher
from evalserver.attempts.preparation import Preparation
from evalserver.attempts.retention import Retention
from evalserver.attempts.run_directories import RunDirectories
from evalserver.attempts.stalls import StallPolicy, StallWatch
from evalserver.core.clock import timestamp
from evalserver.core.health import Health
from evalserver.executors import Executors, LocalExecutor
from evalserver.monitoring.event_bus import EventBus
from evalserver.monitoring.progress import ProgressBoard
from evalserver.scheduling.commands import JobCommands
from evalserver.scheduling.forecast import Forecast, Forecaster
from evalserver.scheduling.scheduler import Scheduler
from evalserver.store import Store
from tests.store.test_jobs import PLENTY, completed, start

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


class Lab:
    """A store, and a scheduler that starts nothing by itself, with a clock that the test sets."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store = store
        self.now = NOON
        directories = RunDirectories(folder, "")
        retention = Retention(store, directories, PLENTY)
        executors, policy = Executors(LocalExecutor()), Policy(0.05)
        planner = Planner({}, directories, LaunchContext({}, folder, 1.0))
        preparation = Preparation(directories, planner, policy)
        concluder = Concluder(store, executors, {}, directories, retention, policy)
        attempts = Attempts(
            store,
            executors,
            {},
            directories,
            planner,
            Launcher(store, executors, directories, preparation, concluder),
            concluder,
            ProgressBoard(EventBus()),
            Health(),
            StallWatch(store, Health(), StallPolicy(1800, fails=False)),
        )
        commands = JobCommands(store, attempts, retention)
        self.scheduler = Scheduler(store, attempts, commands)
        self.forecaster = Forecaster(store, self.scheduler, lambda: self.now)

    async def took(self, seconds: float, **request: Any) -> str:
        """Complete a job that took ``seconds``; return its id."""
        job_id = await start(self.store, **request)
        await self.end(job_id, seconds)
        return job_id

    async def end(self, job_id: str, seconds: float) -> None:
        """Complete a running job, ``seconds`` after noon."""
        end = timestamp(NOON + timedelta(seconds=seconds))
        await self.store.jobs.finish(job_id, replace(completed(), completed_at=end), PLENTY)

    async def forecast(self, job_id: str) -> Forecast:
        """Return the forecast for a job."""
        position = self.scheduler.queue.position(job_id)
        return await self.forecaster.of(await self.store.queries.job(job_id), position)

    async def eta(self, job_id: str) -> float | None:
        """Return the seconds until a job will have ended."""
        return (await self.forecast(job_id)).eta_s
