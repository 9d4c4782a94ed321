"""The environment that a harness gets: the server's own, without what would mislead it."""

from collections.abc import Mapping

LAUNCHER_PREFIXES = (
    "SLURM_", "PMIX_", "PMI_", "OMPI_", "MV2_", "TORCHELASTIC_", "ACCELERATE_",
)  # fmt: skip
LAUNCHER_VARIABLES = frozenset(
    {
        "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "GROUP_RANK", "GROUP_WORLD_SIZE",
        "ROLE_RANK", "ROLE_WORLD_SIZE", "ROLE_NAME", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT",
        "MPI_LOCALRANKID", "MPI_LOCALNRANKS",
    }
)  # fmt: skip
"""What srun, mpirun, torchrun and accelerate set. A harness that finds them takes itself for one
rank of a distributed job that does not exist, and waits for the others or fails."""

SYSTEMD_PREFIXES = ("NOTIFY_SOCKET", "WATCHDOG_", "LISTEN_")
"""What systemd tells the server: the harness must not speak for it, nor take its sockets."""

OWN_PREFIX = "EVALSERVER_"

LEFT_OUT = (*LAUNCHER_PREFIXES, *SYSTEMD_PREFIXES, OWN_PREFIX)


BAR_SECONDS = "2"
"""Between two states of one progress bar: fresh enough to look at, and at most some 4 MB of log a
day. tqdm's own tenth of a second makes 80."""


def harness_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables for a harness that is started from a server with this environment."""
    kept = {
        name: value
        for name, value in environment.items()
        if not name.startswith(LEFT_OUT) and name not in LAUNCHER_VARIABLES
    }
    # Unbuffered: else a harness's output reaches the log in blocks, minutes late.
    return {"TQDM_MININTERVAL": BAR_SECONDS, **kept, "PYTHONUNBUFFERED": "1"}
