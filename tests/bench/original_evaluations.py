"""Runs lmms-eval's server on a port, with tasks of a directory of ours.

Run by the interpreter of lmms-eval: ``python original_evaluations.py PORT TASKS``.
"""

import sys

from lmms_eval.entrypoints import JobScheduler, ServerArgs, launch_server


class SchedulerWithTasks(JobScheduler):
    """The scheduler, whose requests cannot name a directory of tasks."""

    @staticmethod
    def _build_eval_cmd(config, output_path):
        command = JobScheduler._build_eval_cmd(config, output_path)
        return [*command, "--include_path", sys.argv[2]]


if __name__ == "__main__":
    from lmms_eval.entrypoints import http_server

    http_server.JobScheduler = SchedulerWithTasks
    launch_server(ServerArgs(host="127.0.0.1", port=int(sys.argv[1])))
