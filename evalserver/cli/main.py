"""``evalserver``: the command line."""

import click

from evalserver.cli.audit import audit
from evalserver.cli.db import db
from evalserver.cli.serve import serve
from evalserver.version import __version__


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="evalserver")
def main() -> None:
    """A durable evaluation server for machine-learning labs."""


for command in (serve, audit, db):
    main.add_command(command)
