"""Prints, as JSON, what lm-eval makes of a command line; run in its interpreter.

Its own parser and configuration read it; the evaluation does not begin.
"""

import json
import sys
from dataclasses import asdict

from lm_eval._cli import HarnessCLI
from lm_eval.config.evaluate_config import EvaluatorConfig

sys.argv[0] = "lm_eval"
parser = HarnessCLI()
flags = {
    flag for action in parser._subparsers.choices["run"]._actions for flag in action.option_strings
}
values = asdict(EvaluatorConfig.from_cli(parser.parse_args()))
print()
print(json.dumps({"flags": sorted(flags), "values": values}))
