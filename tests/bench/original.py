"""Runs lmms-eval's server on a port with a queue that does not advance.

Run by the interpreter of lmms-eval: ``python original.py PORT QUEUED``.
"""

import asyncio
import sys

from lmms_eval.entrypoints import EvaluateRequest, JobScheduler, ServerArgs, launch_server


class BlockedScheduler(JobScheduler):
    """The scheduler, with evaluations that never end and use no CPU."""

    queued = 0

    async def start(self):
        """Start with a full queue."""
        await super().start()
        for _ in range(1 + self.queued):
            await self.add_job(EvaluateRequest(model="dummy", tasks=["mme"]))

    async def _run_evaluation(self, config):
        await asyncio.Event().wait()


if __name__ == "__main__":
    from lmms_eval.entrypoints import http_server

    BlockedScheduler.queued = int(sys.argv[2])
    http_server.JobScheduler = BlockedScheduler
    launch_server(ServerArgs(host="127.0.0.1", port=int(sys.argv[1])))
