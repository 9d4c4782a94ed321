"""Options (``harness_args``) and arguments of a request as ``inspect_ai.eval`` takes them.

Most of them it takes as they are in JSON; here are those for which it has classes of its own.
"""

import sys
from collections.abc import Collection, Mapping
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


def generate_config(config: Mapping[str, Any], known: Collection[str]) -> dict[str, Any]:
    """The arguments of generation, of which this version of Inspect has those that are known."""
    unknown = set(config["generate"]) - set(known)
    if unknown:
        sys.exit(
            f"TypeError: gen_kwargs has no {', '.join(sorted(unknown))};"
            f" Inspect knows {', '.join(known)}"
        )
    generate = dict(config["generate"])
    given = {"seed": config["seed"], "max_connections": config["max_connections"]}
    generate.update({name: value for name, value in given.items() if value is not None})
    if config["cache_dir"] and "cache" in known:
        generate["cache"] = True
    elif config["cache_dir"]:
        print("evalserver: going on without a cache: this version of Inspect has no such argument")
    return generate


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
