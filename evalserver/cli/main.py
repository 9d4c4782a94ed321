"""The command ``evalserver``, and the table of its subcommands."""

import click

from evalserver.cli.failures import with_debug
from evalserver.cli.lazy import LazyGroup, Table
from evalserver.cli.start_up import disable_httpx_command
from evalserver.version import __version__

COMMANDS: Table = {
    "Evaluate": {
        "submit": "submit:submit",
        "merge": "merge:merge",
        "wait": "wait:wait",
        "cancel": "change:cancel",
        "retry": "change:retry",
        "priority": "change:priority",
    },
    "Inspect": {
        "jobs": "jobs:jobs",
        "status": "jobs:status",
        "queue": "queue:queue",
        "logs": "logs:logs",
        "results": "results:results",
        "samples": "samples:samples",
        "compare": "compare:compare",
        "gate": "gate:gate",
        "leaderboard": "leaderboard:leaderboard",
        "usage": "usage:usage",
        "follow": "follow:follow",
        "in-use": "in_use:in_use",
    },
    "Server": {
        "health": "about_server:health",
        "executors": "executors:executors",
        "gpus": "gpus:gpus",
        "tasks": "about_server:tasks",
        "models": "about_server:models",
        "catalog": "catalog:catalog",
        "webhook": "webhook:webhook",
        "drain": "administration:drain",
        "resume": "administration:resume",
        "prune": "administration:prune",
        "erase": "administration:erase",
    },
    "On the server's machine": {
        "serve": "serve:serve",
        "audit": "audit:audit",
        "db": "db:db",
        "doctor": "doctor:doctor",
        "token": "token:token",
    },
    "Shell": {
        "completion": "completion:completion",
    },
}
"""All commands by section, with their locations."""


@click.group(
    cls=LazyGroup, table=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, prog_name="evalserver")
@with_debug
def main() -> None:
    """A durable evaluation server for machine-learning labs, and its client.

    The address of the server comes from --url or EVALSERVER_URL, the token from --token or
    EVALSERVER_TOKEN.
    """
    disable_httpx_command()
