"""What is run for one attempt. The server writes it as ``job.json``, and the runner reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from evalserver.runner.files import JOB_FILE

TOKEN_VARIABLE = "EVALSERVER_ATTEMPT"  # noqa: S105 - names an attempt, no secret
"""Environment variable that marks every process of an attempt with the attempt's token."""
RUN_DIR_VARIABLE = "EVALSERVER_RUN_DIR"
"""The same with its run directory: servers of several data directories may know the same job."""

GPU_VARIABLES = (
    "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES",
    "GPU_DEVICE_ORDINAL", "ZE_AFFINITY_MASK",
)  # fmt: skip
"""The variables by which a process sees some GPUs of its machine. With them, a cluster says which
GPUs a job has: the harness gets no other variables of the cluster's."""

PER_ATTEMPT_VARIABLES = frozenset({TOKEN_VARIABLE, RUN_DIR_VARIABLE, *GPU_VARIABLES})
"""The variables that differ from attempt to attempt, and that harnesses do not read at import."""


@dataclass(frozen=True)
class Command:
    """A command line, and what it needs: files to write into the run directory (name to text) and
    directories to create before it starts."""

    argv: tuple[str, ...]
    files: Mapping[str, str] = field(default_factory=dict)
    directories: tuple[Path, ...] = ()


@dataclass(frozen=True)
class WarmPlan:
    """How an attempt can be started by a warm parent of ``engine``.

    ``preload`` is the program that imports the harness, ``include_path`` a directory of task
    definitions. ``versions`` are the versions of the harness, installed as ``distribution``, that
    it may be done with (None: any).
    """

    engine: str
    preload: Path
    include_path: str | None = None
    versions: frozenset[str] | None = None
    distribution: str | None = None


@dataclass(frozen=True)
class ColdStart:
    """Why an attempt is started cold: ``code`` for metrics, ``why`` for people."""

    code: str
    why: str


NOT_PLANNED = ColdStart("not_planned", "no warm start was planned")


@dataclass(frozen=True)
class LaunchSpec:
    """One attempt of a job: the command, and everything that the command is run with.

    ``run_dir`` belongs to this attempt alone. ``token`` identifies the attempt in the environment
    of its processes, so that orphans can be found. ``timeout_s`` limits the whole attempt (None: no
    limit), ``memory_bytes`` the memory of its processes together, where the machine allows it
    (None: no limit), ``grace_s`` is the time between SIGTERM and SIGKILL. ``secrets`` are masked in
    the log. ``before`` maps the names of earlier stages to their command lines; they run in this
    order, and when one fails, the attempt has failed. ``num_gpus`` is what a cluster is asked for;
    the runner does not need it. ``max_silence_s`` is for runners on nodes: if one cannot write its
    heartbeat for so long, it kills its harness (None: it writes none). ``output_dir`` is where the
    harness writes its results. ``warm`` says how the attempt can be started warm, or why it must be
    started cold; the runner does not need it.
    """

    run_dir: Path
    token: str
    command: Command
    cwd: Path
    env: Mapping[str, str]
    grace_s: float
    timeout_s: float | None = None
    secrets: tuple[str, ...] = ()
    before: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    memory_bytes: int | None = None
    num_gpus: int = 0
    max_silence_s: float | None = None
    output_dir: Path | None = None
    warm: WarmPlan | ColdStart = NOT_PLANNED

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the processes, with what marks them as the attempt's."""
        return {**self.env, TOKEN_VARIABLE: self.token, RUN_DIR_VARIABLE: str(self.run_dir)}

    def to_json(self) -> str:
        """Serialize all that the runner needs: files and directories exist before it starts."""
        return json.dumps(
            {
                "argv": self.command.argv,
                "cwd": str(self.cwd),
                "env": self.environment,
                "timeout_s": self.timeout_s,
                "grace_s": self.grace_s,
                "secrets": self.secrets,
                "before": self.before,
                "memory_bytes": self.memory_bytes,
                "max_silence_s": self.max_silence_s,
                "output_dir": None if self.output_dir is None else str(self.output_dir),
            }
        )


def read_launch_spec(run_dir: Path) -> LaunchSpec:
    """Read ``job.json`` of a run directory. Raises OSError, or ValueError if it is malformed."""
    text = (run_dir / JOB_FILE).read_text(encoding="utf-8")
    try:
        values = json.loads(text)
        env = dict(values["env"])
        env.pop(RUN_DIR_VARIABLE, None)
        output_dir = values.get("output_dir")
        return LaunchSpec(
            run_dir=run_dir,
            token=env.pop(TOKEN_VARIABLE, ""),
            command=Command(tuple(values["argv"])),
            cwd=Path(values["cwd"]),
            env=env,
            grace_s=values["grace_s"],
            timeout_s=values["timeout_s"],
            secrets=tuple(values["secrets"]),
            before={stage: tuple(argv) for stage, argv in values["before"].items()},
            memory_bytes=values.get("memory_bytes"),
            max_silence_s=values.get("max_silence_s"),
            output_dir=None if output_dir is None else Path(output_dir),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{JOB_FILE} is malformed: {error!r}") from error
