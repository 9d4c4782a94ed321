"""Whether warm starts were tried with the version of a harness: asked before it is imported."""

from evalserver.executors.ask import ask
from evalserver.executors.base import ExecutorError
from evalserver.executors.warm.key import ParentKey
from evalserver.runner.launch_spec import WarmPlan

PRINT_VERSION = "import sys; from importlib.metadata import version; print(version(sys.argv[1]))"
MAX_SECONDS = 60.0


async def untried_reason(key: ParentKey, plan: WarmPlan) -> str | None:
    """Return why the harness must not be started warm, as a clause; None if it may."""
    if plan.versions is None:
        return None
    command = (key.python, "-c", PRINT_VERSION, plan.distribution or "")
    try:
        version = (await ask(command, key.variables, MAX_SECONDS)).strip()
    except ExecutorError as error:
        return f"the version of the harness is unknown: {error}"
    if version in plan.versions:
        return None
    return f"warm starts were not tried with version {version} of the harness"
