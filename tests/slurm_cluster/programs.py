"""Which programs a cluster needs, and why it cannot run on this machine."""

import os
import shutil
import subprocess
from functools import cache

SEARCH_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin"
"""Daemons are where an ordinary user's PATH does not reach."""

SLURM = ("slurmctld", "slurmd", "munged", "sbatch", "squeue", "scancel", "scontrol", "sinfo")
ACCOUNTING = ("slurmdbd", "mariadbd", "mariadb-install-db", "mariadb", "sacct", "sacctmgr")


def find_program(name: str) -> str | None:
    """Return the path of a program, also of a daemon; None if it is not installed."""
    return shutil.which(name, path=SEARCH_PATH)


@cache
def why_no_slurm() -> str | None:
    """Return why no cluster can run on this machine; None if one can."""
    if missing := _missing(SLURM):
        return f"Slurm ({missing}) is NOT INSTALLED"
    if os.geteuid() != 0:
        return "Slurm's daemons CAN BE STARTED BY ROOT ONLY"
    if subprocess.run(["unshare", "--uts", "true"], check=False, capture_output=True).returncode:
        return "Slurm's daemons need a host name of their own, and unshare --uts IS NOT PERMITTED"
    return None


def why_no_accounting() -> str | None:
    """Return why no cluster with accounting can run on this machine; None if one can."""
    missing = _missing(ACCOUNTING)
    return f"Slurm's accounting ({missing}) is NOT INSTALLED" if missing else why_no_slurm()


def _missing(names: tuple[str, ...]) -> str:
    return ", ".join(name for name in names if find_program(name) is None)
