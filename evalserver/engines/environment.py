"""The environment of a harness: the variables of the server's that harnesses are known to read
(``variables.py``), and those that the operator names. All others may be secret."""

from collections.abc import Iterable, Mapping

from evalserver.engines.variables import find_variables, is_secret_variable

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
"""Set by srun, mpirun, torchrun and accelerate. A harness that finds them takes itself for one rank
of a distributed job that does not exist, and waits for the others or fails."""

SYSTEMD_PREFIXES = ("NOTIFY_SOCKET", "WATCHDOG_", "LISTEN_")
"""systemd's variables for the server: the harness must not notify in its name or take its
sockets."""

OWN_PREFIX = "EVALSERVER_"

EXCLUDED_PREFIXES = (*LAUNCHER_PREFIXES, *SYSTEMD_PREFIXES, OWN_PREFIX)

BAR_SECONDS = "2"
"""Between two states of a progress bar: at most some 4 MB of log per day, where tqdm's own default
of a tenth of a second makes 80."""


def harness_environment(
    environment: Mapping[str, str], named: Iterable[str] = ()
) -> dict[str, str]:
    """Return the environment of a harness that a server with this environment starts.

    ``named`` are the operator's additions: ``NAME`` (passed on if set), or ``NAME=VALUE``.
    """
    kept = {name: value for name, value in environment.items() if _is_passed_on(name)}
    for each in named:
        name, given, value = each.partition("=")
        if name.startswith(OWN_PREFIX):
            continue
        if given or name in environment:
            kept[name] = value if given else environment[name]
    # Unbuffered, or a harness's output would reach the log minutes late.
    return {"TQDM_MININTERVAL": BAR_SECONDS, **kept, "PYTHONUNBUFFERED": "1"}


def secret_values(environment: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the values of the variables that are secrets, in the form that ``find_secrets``
    takes."""
    return {"secret": [value for name, value in environment.items() if is_secret_variable(name)]}


def keys_for(engine_type: str, environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of the secrets in a harness's environment that it reads, or that the
    operator added."""
    return tuple(
        sorted(
            name
            for name in environment
            if is_secret_variable(name) and environment[name]
            if not (rows := [*find_variables(name)])
            or any(row.is_read_by(engine_type) for row in rows)
        )
    )


def keys_not_passed(environment: Mapping[str, str], passed: Mapping[str, str]) -> list[str]:
    """Return the variables of the server that look like secrets and reach no harness."""
    return sorted(
        name
        for name in environment
        if name not in passed and is_secret_variable(name) and not is_excluded(name)
    )


def is_excluded(name: str) -> bool:
    """Whether a variable never reaches a harness from the server's environment: one of the
    server's own, of a launcher or of systemd."""
    return name.startswith(EXCLUDED_PREFIXES) or name in LAUNCHER_VARIABLES


def _is_passed_on(name: str) -> bool:
    return not is_excluded(name) and any(find_variables(name))
