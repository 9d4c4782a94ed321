"""Where the server keeps its files."""

from pathlib import Path

from evalserver.settings.server_args import ServerArgs
from evalserver.store import RUNS_NAME


def data_dir_of(args: ServerArgs) -> Path:
    """Return the absolute path of the data directory."""
    return Path(args.data_dir).absolute()


def runs_dir_of(args: ServerArgs) -> Path:
    """Return the absolute path of the directory with the files of all jobs."""
    return data_dir_of(args) / RUNS_NAME
