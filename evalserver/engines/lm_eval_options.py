"""The options of lm-eval 0.4.13 (``lm_eval/_cli/run.py``) that requests have no field for."""

from evalserver.engines.harness_options import (
    HF_HUB_LOG_ARGS,
    MAX_BATCH_SIZE,
    SHOW_CONFIG,
    SYSTEM_INSTRUCTION,
    VERBOSITY,
    WRITE_OUT,
)
from evalserver.engines.options import RUNS_CODE, SENDS_RESULTS, Option, option_table
from evalserver.engines.parameters import Kind

OPTIONS = option_table(
    Option(
        "apply_chat_template",
        (Kind.BOOLEAN, Kind.STRING),
        help="Apply the model's chat template, or the one of this name.",
        example=True,
    ),
    SYSTEM_INSTRUCTION,
    Option(
        "fewshot_as_multiturn",
        (Kind.BOOLEAN,),
        help="Give the examples as turns of a conversation; needs `apply_chat_template`, with "
        "which it is the default.",
        example=False,
    ),
    Option(
        "samples",
        (Kind.INDICES,),
        help="Which samples to evaluate, by task and number. Excludes `limit`.",
        example={"gsm8k": [0, 5, 7]},
    ),
    Option(
        "metadata",
        (Kind.OBJECT,),
        help="Values for tasks that need some, such as those of RULER.",
        example={"max_seq_lengths": [4096, 8192]},
    ),
    MAX_BATCH_SIZE,
    Option(
        "cache_requests",
        (Kind.CHOICE,),
        choices=("true", "refresh", "delete"),
        help="Keep the prompts that were made of the data sets, in the directory of "
        "`LM_HARNESS_CACHE_PATH`.",
        example="refresh",
    ),
    WRITE_OUT,
    SHOW_CONFIG,
    VERBOSITY,
    Option(
        "confirm_run_unsafe_code",
        (Kind.BOOLEAN,),
        help="Run tasks that execute what the model writes, such as `humaneval`.",
        example=True,
        risk=RUNS_CODE,
    ),
    Option(
        "trust_remote_code",
        (Kind.BOOLEAN,),
        help="Run the code of data sets and models of the Hub.",
        example=True,
        risk=RUNS_CODE,
    ),
    HF_HUB_LOG_ARGS,
    Option(
        "wandb_args",
        (Kind.OBJECT,),
        help="Arguments of `wandb.init`.",
        example={"project": "lab", "name": "run 7, again"},
        risk=SENDS_RESULTS,
    ),
    Option(
        "wandb_config_args",
        (Kind.OBJECT,),
        help="Arguments of `wandb.config.update`.",
        example={"step": 1500},
        risk=SENDS_RESULTS,
    ),
    Option(
        "trackio_args",
        (Kind.OBJECT,),
        help="Arguments of `trackio.init`.",
        example={"project": "lab"},
        risk=SENDS_RESULTS,
    ),
)
