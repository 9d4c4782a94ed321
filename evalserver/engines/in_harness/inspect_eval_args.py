"""The options of a request (``harness_args``) as ``inspect_ai.eval`` takes them.

Most of them it takes as they are in JSON; here are those for which it has classes of its own.
"""

from collections.abc import Mapping
from typing import Any

SOLVERS = ("solver", "solver_file")


def eval_arguments(options: Mapping[str, Any]) -> dict[str, Any]:
    """The keyword arguments of ``inspect_ai.eval``."""
    changed = ("epochs_reducer", "solver_args", *SOLVERS)
    found = {name: value for name, value in options.items() if name not in changed}
    if "epochs_reducer" in options:
        found["epochs"] = _epochs(options["epochs"], options["epochs_reducer"])
    for name in SOLVERS:
        if name in options:
            found["solver"] = _solver(options[name], options.get("solver_args", {}))
    if isinstance(found.get("sandbox"), list):
        found["sandbox"] = tuple(found["sandbox"])
    if "model_roles" in found:
        roles = found["model_roles"]
        found["model_roles"] = {role: _models(given) for role, given in roles.items()}
    if "model_cost_config" in found:
        found["model_cost_config"] = _costs(found["model_cost_config"])
    return found


def model_arguments(model: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a model; what ``mockllm`` is to say comes as JSON."""
    from inspect_ai.model import ModelOutput

    arguments = dict(given)
    if model.startswith("mockllm/") and "custom_outputs" in arguments:
        outputs = arguments["custom_outputs"]
        arguments["custom_outputs"] = [ModelOutput.model_validate(each) for each in outputs]
    return arguments


def _epochs(count: int, reducer: Any) -> Any:
    from inspect_ai import Epochs

    return Epochs(count, reducer)


def _solver(name: str, arguments: Mapping[str, Any]) -> Any:
    from inspect_ai.solver import SolverSpec

    return SolverSpec(name, dict(arguments), dict(arguments))


def _models(given: Any) -> Any:
    """The model of a role, or its models; a name is left to Inspect."""
    if isinstance(given, list):
        return [_models(each) for each in given]
    if not isinstance(given, dict):
        return given
    from inspect_ai.model import GenerateConfig, get_model

    return get_model(
        given["model"],
        config=GenerateConfig(**given.get("config", {})),
        base_url=given.get("base_url"),
        memoize=False,
        **model_arguments(given["model"], given.get("args", {})),
    )


def _costs(given: Mapping[str, Any]) -> Any:
    from inspect_ai.model import ModelCost

    return {model: ModelCost(**prices) for model, prices in given.items()}
