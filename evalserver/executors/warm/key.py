"""What a warm parent depends on: attempts with the same key can be started by the same parent."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from evalserver.runner import files
from evalserver.runner.launch_spec import PER_ATTEMPT_VARIABLES, LaunchSpec, WarmPlan
from evalserver.runner.warm.fingerprint import state_of

ANY_DIRECTORY = Path("/")
"""Where a parent runs whose attempts each run in a directory of their own."""


@dataclass(frozen=True)
class ParentKey:
    """Everything that may affect what a harness is after its import.

    ``environment`` lacks the variables that differ from attempt to attempt; ``cwd`` is None if each
    attempt runs in a directory of its own. ``code`` is the state of evalserver's own code.
    """

    python: str
    preload: Path
    include_path: str | None
    cwd: Path | None
    environment: frozenset[tuple[str, str]] = field(repr=False)
    code: str

    @property
    def directory(self) -> Path:
        """The working directory of the parent."""
        return self.cwd or ANY_DIRECTORY

    @property
    def variables(self) -> Mapping[str, str]:
        """The environment of the parent."""
        return dict(sorted(self.environment))


def key_of(spec: LaunchSpec, plan: WarmPlan) -> ParentKey:
    """Return the key for an attempt. Reads the state of files. Raises OSError."""
    is_own = spec.cwd.is_relative_to(spec.run_dir)
    shared = {(name, text) for name, text in spec.env.items() if name not in PER_ATTEMPT_VARIABLES}
    return ParentKey(
        python=spec.command.argv[0],
        preload=plan.preload,
        include_path=plan.include_path,
        cwd=None if is_own else spec.cwd,
        environment=frozenset(shared),
        code=_code_digest(files.PROGRAM, plan.preload.parent),
    )


def _code_digest(*folders: Path) -> str:
    digest = hashlib.sha256()
    for folder in folders:
        for line in _states(folder):
            digest.update(line.encode(errors="replace"))
    return digest.hexdigest()


def _states(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*.py")):
        yield f"{path}\0{state_of(str(path))}\0"
