"""Prints, as JSON, what lmms-eval makes of a command line; run in its interpreter.

Its own entry point reads it, as our launcher taught it to; the evaluation does not begin. The first
argument is the launcher's directory.
"""

import json
import sys

sys.path.insert(0, sys.argv.pop(1))

import lmms_eval.__main__ as program
import lmms_eval_exact
from lmms_eval import utils
from lmms_eval.api.reasoning import parse_reasoning_tags_config

ASSIGNMENTS = ("hf_hub_log_args", "launcher_args")
sys.argv[0] = "lmms_eval"
received = {}


class Logger:
    """Records what a logger is made with."""

    def __init__(self, **arguments):
        received[self.name] = arguments

    def __getattr__(self, name):
        return self if name == "run" else lambda *_: None


def evaluate(args):
    """Record the arguments of the evaluation."""
    values = {**vars(args), **{name: received.get(name) for name in ("wandb_args", "swanlab_args")}}
    for name in ASSIGNMENTS:
        values[name] = utils.simple_parse_args_string(values[name] or "")
    values["reasoning_tags"] = parse_reasoning_tags_config(cli_value=values["reasoning_tags"])
    print()
    print(json.dumps({"flags": sorted(flags), "values": values}))
    sys.exit()


def parse():
    """Parse, and record the flags."""
    parser, args = parse_eval_args()
    flags.update(flag for action in parser._actions for flag in action.option_strings)
    return parser, args


flags = set()
parse_eval_args = program.parse_eval_args
program.parse_eval_args = parse
program.WandbLogger = type("Wandb", (Logger,), {"name": "wandb_args"})
program.SwanLabLogger = type("SwanLab", (Logger,), {"name": "swanlab_args"})
program.cli_evaluate_single = evaluate
lmms_eval_exact.teach_parser()
program.cli_evaluate()
