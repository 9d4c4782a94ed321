"""Waiting until the jobs of a batch have ended, and showing how many ended how."""

from collections.abc import Mapping
from typing import Any

import click

from evalserver.cli.connection import Server, print_to_stderr
from evalserver.cli.exit_codes import ExitCode
from evalserver.cli.screens import print_hint, print_json
from evalserver.cli.selection import describe_counts
from evalserver.cli.waiting import Waiting

POLL_SECONDS = 5.0


def wait_for_batch(server: Server, batch_id: str, waiting: Waiting, *, as_json: bool) -> ExitCode:
    """Wait until all jobs of a batch have ended, and show how many ended how.

    Not their metrics: the server keeps the records of its newest jobs only.
    """
    waiting.heed_sigterm()
    shown: list[str] = []

    def show(batch: Mapping[str, Any]) -> None:
        line = describe_counts(batch)
        if not waiting.quiet and shown[-1:] != [line]:
            print_to_stderr(f"Batch {batch_id}: {line}")
            shown.append(line)

    with server.client(is_waiting=True) as client:
        try:
            batch = client.wait_for_batch(
                batch_id, waiting.timeout, poll_interval=POLL_SECONDS, on_look=show
            )
        except KeyboardInterrupt:
            if not waiting.cancel_on_interrupt:
                print_to_stderr(
                    "Detached; the jobs continue. Wait again with: evalserver wait --batch"
                    f" {batch_id}\nOr cancel them with: evalserver cancel --batch {batch_id}"
                )
                return ExitCode.INTERRUPTED
            print_to_stderr(client.cancel_batch(batch_id)["message"])
            batch = client.wait_for_batch(batch_id, on_look=show)
    if as_json:
        print_json(batch)
    else:
        click.echo(describe_counts(batch))
        print_hint(lambda: f"List the jobs with: evalserver jobs --batch {batch_id} --all")
    return _exit_code(batch["counts"])


def _exit_code(counts: Mapping[str, int]) -> ExitCode:
    if counts["failed"]:
        return ExitCode.JOB_FAILED
    return ExitCode.CANCELLED if counts["cancelled"] else ExitCode.DONE
