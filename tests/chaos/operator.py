"""The operator of the cluster: gives back the nodes that Slurm takes out of service.

Slurm drains a node for what killed daemons leave there ("Duplicate jobid", "Kill task failed"), and
leaves it to people to give it back.
"""

import asyncio
import subprocess
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tests.slurm_cluster import SlurmCluster

ROUND_SECONDS = 2.0


class Operator:
    """Looks after the nodes of a cluster while ``on_duty``."""

    def __init__(self, cluster: SlurmCluster) -> None:
        self._cluster = cluster
        self.resumed: Counter[str] = Counter()
        """How often a node was given back, by the reason for which it was out of service."""

    @asynccontextmanager
    async def on_duty(self) -> AsyncIterator[None]:
        """Resume nodes every few seconds during the block."""
        rounds = asyncio.create_task(self._make_rounds())
        try:
            yield
        finally:
            rounds.cancel()
            await asyncio.wait([rounds])
            if not rounds.cancelled():
                rounds.result()

    async def _make_rounds(self) -> None:
        while True:
            # Without a controller there is no answer: the next round gets one.
            with suppress(subprocess.TimeoutExpired):
                self.resumed.update(await asyncio.to_thread(self._cluster.resume_nodes))
            await asyncio.sleep(ROUND_SECONDS)
