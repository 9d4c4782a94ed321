"""The options of lmms-eval 0.7.3 (``lmms_eval/__main__.py``) that requests have no field for."""

from evalserver.engines.harness_options import (
    HF_HUB_LOG_ARGS,
    MAX_BATCH_SIZE,
    SHOW_CONFIG,
    SYSTEM_INSTRUCTION,
    VERBOSITY,
    WRITE_OUT,
)
from evalserver.engines.options import (
    RUNS_CODE,
    SENDS_RESULTS,
    STARTS_SERVER,
    Option,
    option_table,
)
from evalserver.engines.parameters import Kind

OPTIONS = option_table(
    Option(
        "apply_chat_template",
        (Kind.BOOLEAN,),
        help="Apply the model's chat template.",
        example=True,
    ),
    SYSTEM_INSTRUCTION,
    Option(
        "fewshot_as_multiturn",
        (Kind.BOOLEAN,),
        help="Give the examples as turns of a conversation; needs `apply_chat_template` and "
        "`num_fewshot`.",
        example=True,
    ),
    Option(
        "repeats",
        (Kind.INTEGER,),
        low=1,
        high=10_000,
        help="Answers to each sample, for metrics of the model's stability.",
        example=3,
    ),
    Option(
        "offset",
        (Kind.INTEGER,),
        low=0,
        help="The sample of each task to begin with.",
        example=100,
    ),
    Option(
        "reasoning_tags",
        (Kind.PAIRS, Kind.CHOICE),
        choices=("none",),
        help="Pairs of tags around a model's reasoning, which is not scored; `none` scores all.",
        example=[["<think>", "</think>"], ['<a b="c,d">', "</a>"]],
    ),
    Option(
        "force_simple",
        (Kind.BOOLEAN,),
        help="Use the simple variant of a model that also has a chat variant.",
        example=True,
    ),
    Option(
        "process_with_media",
        (Kind.BOOLEAN,),
        help="Give images and sounds to the functions that score, for tasks that need them.",
        example=True,
    ),
    Option(
        "process_docs_parallel",
        (Kind.INTEGER,),
        low=1,
        high=1024,
        help="Threads that score.",
        example=8,
    ),
    Option(
        "max_tokens",
        (Kind.INTEGER,),
        low=1,
        help="Tokens of the whole evaluation, after which it stops with what it has.",
        example=1_000_000,
    ),
    MAX_BATCH_SIZE,
    Option(
        "agentic_trace_mode",
        (Kind.CHOICE,),
        choices=("basic", "full"),
        help="How much is recorded of each round of an agentic task.",
        example="full",
    ),
    Option(
        "baseline",
        (Kind.STRING,),
        pattern=r"hf://[\w./-]+|[\w.-]+(?::[\w.-]+)?",
        form="be a preset such as qwen25vl, or hf://user/repo/file.jsonl",
        help="Compare with published results: a preset such as `qwen25vl`, or "
        "`hf://user/repo/file.jsonl`.",
        example="qwen25vl:mmbench",
    ),
    Option(
        "cache_requests",
        (Kind.CHOICE,),
        choices=("true", "refresh", "delete"),
        help="Keep the prompts that were made of the data sets.",
        example="refresh",
    ),
    WRITE_OUT,
    SHOW_CONFIG,
    VERBOSITY,
    Option(
        "trust_remote_code",
        (Kind.BOOLEAN,),
        help="Run the code of data sets of the Hub.",
        example=True,
        risk=RUNS_CODE,
    ),
    Option(
        "launcher_args",
        (Kind.OBJECT,),
        help="Start a server for the model that judges: its `name`, and its arguments.",
        example={"name": "sglang", "tp": 8},
        risk=STARTS_SERVER,
    ),
    HF_HUB_LOG_ARGS,
    Option(
        "wandb_args",
        (Kind.OBJECT,),
        help="Arguments of `wandb.init`; give a `name`, without secrets.",
        example={"project": "lab", "name": "run 7, again"},
        risk=SENDS_RESULTS,
    ),
    Option(
        "wandb_log_samples",
        (Kind.BOOLEAN,),
        help="Send samples to Weights & Biases, too.",
        example=True,
        risk=SENDS_RESULTS,
    ),
    Option(
        "swanlab_args",
        (Kind.OBJECT,),
        help="Arguments of `swanlab.init`; give an `exp_name`, without secrets.",
        example={"project": "lab", "exp_name": "run 7, again"},
        risk=SENDS_RESULTS,
    ),
    Option(
        "swanlab_log_samples",
        (Kind.BOOLEAN,),
        help="Send samples to SwanLab, too.",
        example=True,
        risk=SENDS_RESULTS,
    ),
)

EARLY_OPTIONS = ("verbosity", "wandb_args", "swanlab_args")
"""Options that lmms-eval reads before its configuration file: they go as flags."""
