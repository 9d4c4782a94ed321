"""What an operator says of one Slurm cluster."""

import math
from dataclasses import dataclass
from pathlib import Path

from evalserver.executors.slurm.script import SlurmSubmission

SLURM_LOG_FILE = "slurm.log"
SECONDS_PER_MINUTE = 60
DEFAULT_SILENCE_SECONDS = 120.0
END_SECONDS = 60.0
"""How long a runner may take to start and to end, beside its time limit and its grace."""


@dataclass(frozen=True)
class SlurmOptions:
    """One cluster, as jobs are submitted to it. None means the site's own default.

    ``run_root`` is the directory that the server and all nodes see under the same path. ``gres`` is
    given to jobs with GPUs only, and ``{num_gpus}`` in it is replaced. ``time_minutes`` is the
    limit of jobs that have no limit of their own. ``python`` runs the runner on a node. An
    attempt whose runner has written nothing for ``max_silence_s`` seconds may be tried again.
    """

    run_root: Path
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    gres: str | None = "gpu:{num_gpus}"
    cpus_per_gpu: int | None = None
    mem: str | None = None
    time_minutes: int | None = None
    sbatch_args: tuple[str, ...] = ()
    python: str = "/usr/bin/python3"
    poll_s: float = 2.0
    max_handed_over: int = 100
    max_silence_s: float = DEFAULT_SILENCE_SECONDS

    def gres_for(self, num_gpus: int) -> str | None:
        """Return the generic resources of a job with this many GPUs."""
        if num_gpus == 0 or self.gres is None:
            return None
        return self.gres.replace("{num_gpus}", str(num_gpus))

    def minutes_for(self, timeout_s: float | None, grace_s: float) -> int | None:
        """Return the limit after which Slurm ends a job: later than the runner ends it itself."""
        if timeout_s is None:
            return self.time_minutes
        return math.ceil((timeout_s + grace_s + END_SECONDS) / SECONDS_PER_MINUTE)

    def submission(
        self,
        name: str,
        run_dir: Path,
        argv: tuple[str, ...],
        num_gpus: int,
        time_minutes: int | None,
    ) -> SlurmSubmission:
        """Return a job of this cluster that runs ``argv`` in ``run_dir``."""
        return SlurmSubmission(
            name=name,
            run_dir=run_dir,
            log=run_dir / SLURM_LOG_FILE,
            argv=argv,
            partition=self.partition,
            account=self.account,
            qos=self.qos,
            constraint=self.constraint,
            gres=self.gres_for(num_gpus),
            cpus_per_gpu=self.cpus_per_gpu if num_gpus else None,
            mem=self.mem,
            time_minutes=time_minutes,
            sbatch_args=self.sbatch_args,
        )
