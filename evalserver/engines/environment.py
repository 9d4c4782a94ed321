"""The environment that a harness gets: the server's own, without what would mislead it."""

from collections.abc import Mapping

LAUNCHER_PREFIXES = ("SLURM_", "PMIX_", "PMI_", "OMPI_", "TORCHELASTIC_")
LAUNCHER_VARIABLES = frozenset(
    {
        "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "GROUP_RANK", "GROUP_WORLD_SIZE",
        "ROLE_RANK", "ROLE_WORLD_SIZE", "ROLE_NAME", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT",
    }
)  # fmt: skip
"""What srun, mpirun and torchrun set. A harness that finds them takes itself for one rank of a
distributed job that does not exist, and waits for the others or fails."""

OWN_PREFIX = "EVALSERVER_"


def harness_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables for a harness that is started from a server with this environment."""
    kept = {
        name: value
        for name, value in environment.items()
        if not name.startswith((*LAUNCHER_PREFIXES, OWN_PREFIX)) and name not in LAUNCHER_VARIABLES
    }
    # Without it a harness's output reaches the log in blocks, minutes late.
    return {**kept, "PYTHONUNBUFFERED": "1"}
