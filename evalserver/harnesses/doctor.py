"""Looking at an engine from outside of any job: can it work, and if not, what is to be done?"""

import asyncio
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evalserver.engines import Engine, Question
from evalserver.executors import Executor, ExecutorError

PROBE_SECONDS = 60.0
ANSWER_SECONDS = 300.0
COUNT_GPUS = "import torch; print(torch.cuda.device_count())"


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, and what is to be done about it. Less than ``grave``: it works."""

    what: str
    do: str
    grave: bool = True


@dataclass(frozen=True)
class Diagnosis:
    """What was seen of one engine; None where it could not be seen."""

    engine: str
    type: str
    program: str | None = None
    harness: str | None = None
    version: str | None = None
    commit: str | None = None
    python: str | None = None
    packages: Mapping[str, str] = field(default_factory=dict)
    gpus: tuple[str, ...] = ()
    driver: str | None = None
    gpus_seen: int | None = None
    tasks: int | None = None
    models: int | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def works(self) -> bool:
        """Can it evaluate?"""
        return not any(finding.grave for finding in self.findings)


async def diagnose(engine: Engine, environment: Mapping[str, str], executor: Executor) -> Diagnosis:
    """Look at an engine whose harness gets this environment; takes some ten seconds."""
    environment = {**environment, **engine.settings.environment}
    findings = list(_programs(engine))
    probe: dict[str, Any] = {}
    tasks = models = seen = None
    if not findings:
        probe = await _probe(engine, environment, executor, findings)
    if not findings:
        findings += _versions(engine, probe)
    if not findings or not findings[0].grave:
        tasks = await _count(engine, Question.TASKS, environment, executor, findings)
        models = await _count(engine, Question.MODELS, environment, executor, findings)
        seen = await _gpus_seen(engine, probe, environment, executor, findings)
    return Diagnosis(
        engine=engine.name,
        type=engine.settings.type,
        program=engine.executable,
        harness=engine.package,
        version=probe.get("version"),
        commit=probe.get("commit"),
        python=probe.get("python"),
        packages=probe.get("packages", {}),
        gpus=tuple(gpu["name"] for gpu in probe.get("gpus", ())),
        driver=probe.get("driver"),
        gpus_seen=seen,
        tasks=tasks,
        models=models,
        findings=tuple(findings),
    )


def _programs(engine: Engine) -> list[Finding]:
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
        printed = await executor.ask(engine.probe_argv(), environment, PROBE_SECONDS)
        told: dict[str, Any] = json.loads(printed.strip().splitlines()[-1])
    except (ExecutorError, ValueError, IndexError) as error:
        do = f"try it by hand: {' '.join(engine.probe_argv())}"
        findings.append(Finding(f"the interpreter cannot be asked: {error}", do))
        return {}
    return told


def _versions(engine: Engine, probe: Mapping[str, Any]) -> list[Finding]:
    package, wanted, version = engine.package, engine.written_for, probe["version"]
    if package is None:
        return []
    if version is None:
        install = f"{engine.python} -m pip install {package}{f'=={wanted}' if wanted else ''}"
        do = f"{install}, or name another interpreter: python in [engines.{engine.name}]"
        return [Finding(f"{package} is not installed in {engine.python}", do)]
    if wanted and version.split(".")[:2] != wanted.split(".")[:2]:
        what = f"{package} is {version}; this engine was written against {wanted}"
        return [Finding(what, "run a small evaluation, and compare its numbers", grave=False)]
    return []


async def _count(
    engine: Engine,
    question: Question,
    environment: Mapping[str, str],
    executor: Executor,
    findings: list[Finding],
) -> int | None:
    argv = engine.question_argv(question)
    try:
        names = engine.parse_answer(await executor.ask(argv, environment, ANSWER_SECONDS))
    except (ExecutorError, ValueError) as error:
        do = f"what it imports does not work; try it by hand: {engine.python} -c 'import ...'"
        findings.append(Finding(f"it cannot be asked for its {question}: {error}", do))
        return None
    if not names and question in engine.questions:
        do = f"set include_path in [engines.{engine.name}], or --include-path"
        findings.append(Finding(f"it knows no {question}", do, grave=False))
    return len(names)


async def _gpus_seen(
    engine: Engine,
    probe: Mapping[str, Any],
    environment: Mapping[str, str],
    executor: Executor,
    findings: list[Finding],
) -> int | None:
    """How many GPUs the harness's torch sees; None without torch."""
    if "torch" not in probe.get("packages", {}):
        return None
    try:
        seen = int(
            await executor.ask((engine.python, "-c", COUNT_GPUS), environment, PROBE_SECONDS)
        )
    except (ExecutorError, ValueError) as error:
        findings.append(Finding(f"torch does not work: {error}", "install torch anew"))
        return None
    there = len(probe["gpus"])
    if seen < there:
        version = probe["packages"]["torch"]
        do = "look at CUDA_VISIBLE_DEVICES, and whether torch is a build for CUDA and this driver"
        findings.append(Finding(f"torch {version} sees {seen} of {there} GPUs", do, grave=False))
    return seen


async def diagnose_all(
    engines: list[Engine], environment: Mapping[str, str], executor: Executor
) -> list[Diagnosis]:
    """Look at several engines, two at a time."""
    slots = asyncio.Semaphore(2)

    async def one(engine: Engine) -> Diagnosis:
        async with slots:
            return await diagnose(engine, environment, executor)

    return list(await asyncio.gather(*map(one, engines)))
