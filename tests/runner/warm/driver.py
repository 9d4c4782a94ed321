"""A warm parent, spoken to as the server does."""

import os
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from evalserver.runner import files
from evalserver.runner.launch_spec import Command, LaunchSpec
from evalserver.runner.warm.command import parent_command, parent_environment
from evalserver.runner.warm.protocol import Connection
from tests.support import WAIT_SECONDS


class WarmParent:
    """A warm parent with one interpreter, preload program and environment."""

    def __init__(
        self,
        python: str,
        preload: Path,
        environment: Mapping[str, str],
        *,
        include_path: str = "",
        cwd: Path | None = None,
        log: Path | None = None,
    ) -> None:
        ours, theirs = socket.socketpair()
        ours.settimeout(4 * WAIT_SECONDS)
        with theirs, open(log or os.devnull, "ab") as output:  # noqa: PTH123
            self.process = subprocess.Popen(
                parent_command(python, theirs.fileno(), preload, include_path),
                env=parent_environment(environment),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self.connection = Connection(ours)

    def __enter__(self) -> "WarmParent":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.connection.close()
        try:
            self.process.wait(WAIT_SECONDS)
        finally:
            self.process.kill()
            self.process.wait()

    def ready(self) -> dict[str, Any]:
        """Wait for its first message."""
        return self._receive()

    def start(self, run_dir: Path, **environment: str) -> dict[str, Any]:
        """Have it start an attempt; return its answer."""
        runners = {"PATH": os.environ["PATH"], **environment}
        self.connection.send({"start": str(run_dir), "environment": runners})
        return self._receive()

    def _receive(self) -> dict[str, Any]:
        message = self.connection.receive()
        assert message is not None, "the parent has ended"
        return message


def prepare(
    run_dir: Path, argv: Sequence[str], environment: Mapping[str, str], cwd: Path, **fields: Any
) -> LaunchSpec:
    """Write ``job.json`` into a new run directory."""
    run_dir.mkdir(parents=True, exist_ok=True)
    spec = LaunchSpec(
        run_dir=run_dir,
        token=f"token of {run_dir.name}",
        command=Command(tuple(argv)),
        cwd=cwd,
        env=environment,
        grace_s=fields.pop("grace_s", WAIT_SECONDS),
        **fields,
    )
    (run_dir / files.JOB_FILE).write_text(spec.to_json())
    return spec
