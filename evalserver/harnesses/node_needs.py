"""What the nodes of a cluster must have for the engines whose jobs run there."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from evalserver.engines import Engine, in_harness
from evalserver.engines.settings import ATTEMPT_DIRECTORY
from evalserver.executors.slurm.hello_directory import NodeNeed

LAUNCHERS = Path(in_harness.__file__).parent


def node_needs(
    engines: Iterable[Engine], executor: str, default_executor: str, server_directory: Path
) -> list[NodeNeed]:
    """Return what nodes of ``executor`` must have for those of the engines that may run there.

    What only a request would bring there (its ``executor``) is not grave. ``server_directory`` is
    the directory in which a server would be started.
    """
    settled: list[Engine] = []
    possible: list[Engine] = []
    for engine in engines:
        if (engine.settings.executor or default_executor) == executor:
            settled.append(engine)
        elif engine.settings.executor is None:
            possible.append(engine)
    return [
        *_harnesses(settled, grave=True),
        *_harnesses(possible, grave=False),
        *_working_directory([*settled, *possible], server_directory),
    ]


def _harnesses(engines: Sequence[Engine], *, grave: bool) -> Iterator[NodeNeed]:
    for path, names in _group(engines, lambda engine: engine.executable):
        do = (
            "install it there under the same path, or name another program (engine_python, or"
            " python and argv in the engine's table)"
        )
        yield NodeNeed("program", path, f"the program of {names}", do, grave)
    for path, names in _group(engines, lambda engine: engine.settings.include_path):
        do = "put them there under the same path, or set include_path to a shared directory"
        yield NodeNeed("directory", path, f"the tasks of {names}", do, grave)
    # An engine without a package of a harness runs a program of its own.
    for path, names in _group(engines, lambda engine: engine.package and str(LAUNCHERS)):
        do = "install evalserver there under the same path"
        yield NodeNeed("directory", path, f"evalserver's files, which start {names}", do, grave)


def _working_directory(engines: Sequence[Engine], directory: Path) -> Iterator[NodeNeed]:
    """Yield it as what is not grave: the server may be started elsewhere."""
    users = [each for each in engines if each.settings.working_directory != ATTEMPT_DIRECTORY]
    for path, names in _group(users, lambda _: str(directory)):
        what = f"the directory in which {names} would run, if the server is started here"
        do = (
            "start the server in a directory that nodes have, too, or set working_directory ="
            ' "attempt" in the engine\'s table'
        )
        yield NodeNeed("directory", path, what, do, grave=False)


def _group(
    engines: Sequence[Engine], path_of: Callable[[Engine], str | None]
) -> Iterator[tuple[str, str]]:
    """Yield each path with the names of its engines, in words."""
    paths = dict.fromkeys(path for each in engines if (path := path_of(each)) is not None)
    for path in paths:
        yield path, ", ".join(each.name for each in engines if path_of(each) == path)
