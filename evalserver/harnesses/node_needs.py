"""What the nodes of a cluster must have for the engines whose jobs run there."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
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

    def runs_there(engine: Engine) -> bool:
        return executor == (engine.settings.executor or default_executor)

    certain: Mapping[str, list[str]] = defaultdict(list)
    possible: Mapping[str, list[str]] = defaultdict(list)
    needs: list[NodeNeed] = []
    users = [each for each in engines if each.settings.executor in (None, executor)]
    for engine in users:
        group = certain if runs_there(engine) else possible
        group[engine.executable].append(engine.name)
    for group, grave in ((certain, True), (possible, False)):
        needs += [_program(path, names, grave=grave) for path, names in group.items()]
    # An engine without a package of a harness runs a program of its own.
    launched = [each for each in users if each.package is not None]
    if launched:
        is_certain = any(map(runs_there, launched))
        do = "install evalserver under the same path on the nodes: harnesses are started by it"
        needs.append(
            NodeNeed("directory", str(LAUNCHERS), "evalserver's own files", do, is_certain)
        )
    if any(each.settings.working_directory != ATTEMPT_DIRECTORY for each in users):
        do = (
            "start the server in a directory that the nodes have, too, or set"
            ' working_directory = "attempt" in the table of each engine'
        )
        what = "this working directory, in which a server that is started here runs harnesses"
        needs.append(NodeNeed("directory", str(server_directory), what, do, grave=False))
    return needs


def _program(path: str, names: list[str], *, grave: bool) -> NodeNeed:
    what = f"the program of the engine{'s' * (len(names) > 1)} {', '.join(names)}"
    do = (
        "install it there under the same path, or name another (--engine-python, python in"
        " [engines.NAME])"
    )
    return NodeNeed("program", path, what, do, grave)
