"""A real Slurm on this machine, brought up for tests: two nodes that exist in name, fake GPUs."""

from tests.slurm_cluster.cluster import SlurmCluster, why_no_cluster
from tests.slurm_cluster.config import SlurmOptions
from tests.slurm_cluster.programs import why_no_accounting

__all__ = ["SlurmCluster", "SlurmOptions", "why_no_accounting", "why_no_cluster"]
