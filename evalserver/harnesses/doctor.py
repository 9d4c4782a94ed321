"""Checks of engines outside of jobs: whether each one works, and what to do if not."""

import asyncio
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evalserver.core.diagnosis import Finding
from evalserver.engines import Engine, Question
from evalserver.engines.environment import keys_for
from evalserver.executors import Executor, ExecutorError

PROBE_TIMEOUT_SECONDS = 60.0
ANSWER_TIMEOUT_SECONDS = 300.0
COUNT_GPUS = "import torch; print(torch.cuda.device_count())"


@dataclass(frozen=True)
class Diagnosis:
    """What was found out about one engine; None if unknown.

    ``keys`` are the variables with a secret that its harness gets. ``warm_start`` says whether warm
    starts were tried with the version of its harness: ``tried``, ``untried``, or ``unavailable``
    for this type of engine.
    """

    engine: str
    type: str
    program: str | None = None
    harness: str | None = None
    version: str | None = None
    location: str | None = None
    commit: str | None = None
    python: str | None = None
    packages: Mapping[str, str] = field(default_factory=dict)
    gpus: tuple[str, ...] = ()
    driver: str | None = None
    gpus_seen: int | None = None
    tasks: int | None = None
    models: int | None = None
    keys: tuple[str, ...] = ()
    warm_start: str | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def works(self) -> bool:
        """Whether the engine can evaluate."""
        return not any(finding.grave for finding in self.findings)


async def diagnose(engine: Engine, environment: Mapping[str, str], executor: Executor) -> Diagnosis:
    """Check an engine whose harness gets this environment; takes about ten seconds."""
    environment = {**environment, **engine.settings.environment}
    findings = list(_check_programs(engine))
    probe: dict[str, Any] = {}
    tasks = models = visible = None
    if not findings:
        probe = await _probe(engine, environment, executor, findings)
    if not findings:
        findings += _check_version(engine, probe)
    if not findings or not findings[0].grave:
        tasks = await _count_names(engine, Question.TASKS, environment, executor, findings)
        models = await _count_names(engine, Question.MODELS, environment, executor, findings)
        visible = await _count_visible_gpus(engine, probe, environment, executor, findings)
    return Diagnosis(
        engine=engine.name,
        type=engine.settings.type,
        program=engine.executable,
        harness=engine.package,
        version=probe.get("version"),
        location=probe.get("location"),
        commit=probe.get("commit"),
        python=probe.get("python"),
        packages=probe.get("packages", {}),
        gpus=tuple(gpu["name"] for gpu in probe.get("gpus", ())),
        driver=probe.get("driver"),
        gpus_seen=visible,
        tasks=tasks,
        models=models,
        keys=keys_for(engine.settings.type, environment),
        warm_start=_warm_start(engine, probe.get("version")),
        findings=tuple(findings),
    )


def _warm_start(engine: Engine, version: str | None) -> str:
    if engine.warm is None:
        return "unavailable"
    return "tried" if version in engine.warm.tried else "untried"


def _check_programs(engine: Engine) -> list[Finding]:
    table = f"[engines.{engine.name}]"
    return [
        Finding(f"{program} is not a program that can be run", f"set {key} in {table}")
        for key, program in {"argv": engine.executable, "python": engine.python}.items()
        if shutil.which(program) is None
    ]


async def _probe(
    engine: Engine,
    environment: Mapping[str, str],
    executor: Executor,
    findings: list[Finding],
) -> dict[str, Any]:
    try:
        printed = await executor.ask(engine.probe_argv(), environment, PROBE_TIMEOUT_SECONDS)
        output: dict[str, Any] = json.loads(printed.strip().splitlines()[-1])
    except (ExecutorError, ValueError, IndexError) as error:
        action = f"try it by hand: {' '.join(engine.probe_argv())}"
        findings.append(Finding(f"the interpreter cannot be asked: {error}", action))
        return {}
    return output


def _check_version(engine: Engine, probe: Mapping[str, Any]) -> list[Finding]:
    package, wanted, version = engine.package, engine.written_for, probe.get("version")
    if package is None:
        return []
    if probe.get("location") is None:
        install = f"{engine.python} -m pip install {package}{f'=={wanted}' if wanted else ''}"
        action = f"{install}, or name another interpreter: python in [engines.{engine.name}]"
        return [Finding(f"{package} is not installed in {engine.python}", action)]
    if version is None:
        problem = f"{probe['location']} does not say its version: it has no package metadata"
        action = f"make sure that it is compatible with {package} {wanted or ''}".rstrip()
        return [Finding(problem, action, grave=False)]
    if wanted and version.split(".")[:2] != wanted.split(".")[:2]:
        problem = f"{package} is {version}; this engine was written against {wanted}"
        return [Finding(problem, "run a small evaluation, and compare its numbers", grave=False)]
    return []


async def _count_names(
    engine: Engine,
    question: Question,
    environment: Mapping[str, str],
    executor: Executor,
    findings: list[Finding],
) -> int | None:
    argv = engine.question_argv(question)
    try:
        names = engine.parse_answer(await executor.ask(argv, environment, ANSWER_TIMEOUT_SECONDS))
    except (ExecutorError, ValueError) as error:
        action = f"what it imports does not work; try it by hand: {engine.python} -c 'import ...'"
        findings.append(Finding(f"it cannot be asked for its {question}: {error}", action))
        return None
    if not names and question in engine.questions:
        action = f"set include_path in [engines.{engine.name}], or --include-path"
        findings.append(Finding(f"it knows no {question}", action, grave=False))
    return len(names)


async def _count_visible_gpus(
    engine: Engine,
    probe: Mapping[str, Any],
    environment: Mapping[str, str],
    executor: Executor,
    findings: list[Finding],
) -> int | None:
    """Return how many GPUs the harness's torch sees; None without torch."""
    if "torch" not in probe.get("packages", {}):
        return None
    try:
        visible = int(
            await executor.ask(
                (engine.python, "-c", COUNT_GPUS), environment, PROBE_TIMEOUT_SECONDS
            )
        )
    except (ExecutorError, ValueError) as error:
        findings.append(Finding(f"torch does not work: {error}", "reinstall torch"))
        return None
    present = len(probe["gpus"])
    if visible < present:
        version = probe["packages"]["torch"]
        action = (
            "look at CUDA_VISIBLE_DEVICES, and whether torch is a build for CUDA and this driver"
        )
        findings.append(
            Finding(f"torch {version} sees {visible} of {present} GPUs", action, grave=False)
        )
    return visible


async def diagnose_all(
    engines: list[Engine], environment: Mapping[str, str], executor: Executor
) -> list[Diagnosis]:
    """Check several engines, two at a time."""
    slots = asyncio.Semaphore(2)

    async def one(engine: Engine) -> Diagnosis:
        async with slots:
            return await diagnose(engine, environment, executor)

    return list(await asyncio.gather(*map(one, engines)))
