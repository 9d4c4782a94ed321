"""Options that lmms-eval and lm-eval, of which one is a fork of the other, have in common."""

from evalserver.engines.options import SENDS_RESULTS, Option
from evalserver.engines.parameters import Kind

SYSTEM_INSTRUCTION = Option(
    "system_instruction",
    (Kind.TEXT,),
    help="System prompt.",
    example="Answer in one word, please.",
)
MAX_BATCH_SIZE = Option(
    "max_batch_size",
    (Kind.INTEGER,),
    low=1,
    help="The largest batch that `batch_size = auto` may choose.",
    example=64,
)
WRITE_OUT = Option(
    "write_out",
    (Kind.BOOLEAN,),
    help="Print the prompts of the first samples into the log.",
    example=True,
)
SHOW_CONFIG = Option(
    "show_config",
    (Kind.BOOLEAN,),
    help="Print the configuration of the tasks into the log.",
    example=True,
)
VERBOSITY = Option(
    "verbosity",
    (Kind.CHOICE,),
    choices=("DEBUG", "INFO", "WARNING", "ERROR"),
    help="Level of the log.",
    example="DEBUG",
)
HF_HUB_LOG_ARGS = Option(
    "hf_hub_log_args",
    (Kind.OBJECT,),
    help="Upload results to the Hugging Face Hub.",
    example={"hub_results_org": "lab", "push_results_to_hub": True},
    risk=SENDS_RESULTS,
)
