"""Prints, as JSON, what Inspect's ``eval`` is called with; run in its interpreter.

Our launcher calls it; the evaluation does not begin. The first argument is the launcher's
directory.
"""

import inspect
import json
import sys

sys.path.insert(0, sys.argv.pop(1))

import inspect_ai
import inspect_launcher
from inspect_ai._cli.eval import eval_command
from inspect_ai.model import GenerateConfig, Model
from pydantic import BaseModel

signature = inspect.signature(inspect_ai.eval)


def evaluate(*args, **kwargs):
    """Record the arguments of the evaluation."""
    unknown = set(kwargs) - set(signature.parameters) - set(GenerateConfig.model_fields)
    flags = {flag for each in eval_command.params for flag in (*each.opts, *each.secondary_opts)}
    print()
    content = {"unknown": sorted(unknown), "flags": sorted(flags), "values": kwargs}
    print(json.dumps(content, default=as_json))
    sys.exit()


def as_json(value):
    """Describe what JSON has no form for."""
    if isinstance(value, Model):
        return {"model": str(value), "config": value.config.model_dump(exclude_none=True)}
    if isinstance(value, inspect_ai.Epochs):
        return {"epochs": value.epochs, "reducer": value._reducer_spec}
    return value.model_dump() if isinstance(value, BaseModel) else vars(value)


inspect_ai.eval = evaluate
inspect_launcher.main()
