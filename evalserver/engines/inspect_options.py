"""The options of Inspect 0.3.285 (``inspect_ai.eval``) that requests have no field for.

Those of generation (``inspect_ai.model.GenerateConfig``) are ``gen_kwargs``.
"""

from evalserver.engines.options import RUNS_CODE, Option, option_table
from evalserver.engines.parameters import Kind

REGISTERED_NAME = r"[A-Za-z_]\w*(?:/[A-Za-z_]\w*)?"

OPTIONS = option_table(
    Option(
        "task_args",
        (Kind.OBJECT,),
        flag="-T",
        help="Arguments of the tasks.",
        example={"subject": "biology, botany", "fewshot": 3},
    ),
    Option(
        "solver",
        (Kind.STRING,),
        pattern=REGISTERED_NAME,
        form="be a registered name, such as chain_of_thought or package/solver; a file is "
        "solver_file",
        help="A solver in place of the tasks' own: a registered name, such as `chain_of_thought` "
        "or `package/solver`.",
        example="chain_of_thought",
    ),
    Option(
        "solver_args",
        (Kind.OBJECT,),
        flag="-S",
        help="Arguments of the solver.",
        example={"template": "{prompt}\nThink, then answer."},
    ),
    Option(
        "solver_file",
        (Kind.PATH,),
        flag="--solver",
        help="A solver in a file in place of the tasks' own: `/lab/file.py@name`.",
        example="/lab/agents.py@careful",
        risk=RUNS_CODE,
    ),
    Option(
        "model_roles",
        (Kind.OBJECT,),
        flag="--model-role",
        help="Models by role, such as the one that grades: names of models, or objects of `model`, "
        "`config` (as `gen_kwargs`), `base_url` and `args` (as `model_args`); or lists of these.",
        example={"grader": {"model": "mockllm/model", "config": {"temperature": 0.0}}},
    ),
    Option(
        "epochs",
        (Kind.INTEGER,),
        low=1,
        high=10_000,
        help="How often each sample is evaluated.",
        example=3,
    ),
    Option(
        "epochs_reducer",
        (Kind.STRING, Kind.NAMES),
        pattern=r"[A-Za-z_]\w*",
        form="be the name of a reducer",
        help="How a sample's scores become one: `mean`, `median`, `mode`, `max`, `at_least_2`, "
        "`pass_at_2` and so on, or a list of these; an empty list keeps all scores. "
        "Needs `epochs`.",
        example=["mean", "at_least_2"],
    ),
    Option(
        "message_limit",
        (Kind.INTEGER,),
        low=1,
        help="Messages of each sample.",
        example=20,
    ),
    Option(
        "token_limit",
        (Kind.INTEGER, Kind.STRING),
        low=1,
        help="Tokens of each sample: a number, or a text such as `500k` or `output:1m`.",
        example="output:1m",
    ),
    Option(
        "turn_limit",
        (Kind.INTEGER,),
        low=1,
        help="Generations of each sample.",
        example=10,
    ),
    Option(
        "time_limit",
        (Kind.INTEGER,),
        low=1,
        help="Seconds of each sample.",
        example=600,
    ),
    Option(
        "working_limit",
        (Kind.INTEGER,),
        low=1,
        help="Seconds of work of each sample, without waiting.",
        example=300,
    ),
    Option(
        "cost_limit",
        (Kind.NUMBER,),
        low=0,
        help="Dollars of each sample. Needs the prices of the models.",
        example=0.5,
    ),
    Option(
        "model_cost_config",
        (Kind.OBJECT,),
        help="Prices by model, in dollars per million tokens.",
        example={
            "mockllm/model": {
                "input": 1.0,
                "output": 2.0,
                "input_cache_write": 0.0,
                "input_cache_read": 0.0,
            }
        },
    ),
    Option(
        "fail_on_error",
        (Kind.BOOLEAN, Kind.NUMBER),
        low=0,
        help="Whether a sample's error ends the evaluation; or the share below 1, or the number "
        "of samples, that may have errors.",
        example=0.25,
    ),
    Option(
        "continue_on_fail",
        (Kind.BOOLEAN,),
        help="Evaluate all samples before `fail_on_error` decides.",
        example=True,
    ),
    Option(
        "retry_on_error",
        (Kind.INTEGER,),
        low=0,
        high=1000,
        help="How often a sample with an error is repeated.",
        example=2,
    ),
    Option(
        "score_on_error",
        (Kind.BOOLEAN,),
        help="Score samples that ended with an error.",
        example=True,
    ),
    Option(
        "sample_id",
        (Kind.INTEGER, Kind.STRING, Kind.NAMES),
        help="Which samples to evaluate: an id, or a list of ids.",
        example=["popularity:1", "popularity:4"],
    ),
    Option(
        "sample_shuffle",
        (Kind.BOOLEAN, Kind.INTEGER),
        help="Shuffle the samples, with this seed if it is a number.",
        example=42,
    ),
    Option(
        "max_samples",
        (Kind.INTEGER,),
        low=1,
        help="Samples at a time.",
        example=8,
    ),
    Option(
        "max_tasks",
        (Kind.INTEGER,),
        low=1,
        help="Tasks at a time.",
        example=2,
    ),
    Option(
        "max_subprocesses",
        (Kind.INTEGER,),
        low=1,
        help="Processes of tools at a time.",
        example=4,
    ),
    Option(
        "max_sandboxes",
        (Kind.INTEGER,),
        low=1,
        help="Sandboxes at a time.",
        example=4,
    ),
    Option(
        "max_dataset_memory",
        (Kind.INTEGER,),
        low=0,
        help="Megabytes of a task's samples in memory; the others are on disk.",
        example=512,
    ),
    Option(
        "sandbox",
        (Kind.STRING, Kind.NAMES),
        help="Where tools run: `docker`, or `local` on the machine itself; or a list of that and "
        "the path of its configuration.",
        example=["docker", "/lab/compose.yaml"],
        risk=RUNS_CODE,
    ),
    Option(
        "sandbox_cleanup",
        (Kind.BOOLEAN,),
        flag="--no-sandbox-cleanup",
        help="Remove sandboxes afterwards.",
        example=False,
    ),
    Option(
        "tags",
        (Kind.NAMES,),
        help="Tags in Inspect's log.",
        example=["nightly", "a, b"],
    ),
    Option(
        "metadata",
        (Kind.OBJECT,),
        help="Values in Inspect's log.",
        example={"owner": "lab"},
    ),
    Option(
        "log_images",
        (Kind.BOOLEAN,),
        help="Keep images in Inspect's log.",
        example=False,
    ),
    Option(
        "log_model_api",
        (Kind.BOOLEAN,),
        help="Keep requests and responses of the model's API in Inspect's log.",
        example=True,
    ),
    Option(
        "log_refusals",
        (Kind.BOOLEAN,),
        help="Warn of refusals of the model.",
        example=True,
    ),
    Option(
        "log_level",
        (Kind.CHOICE,),
        choices=("debug", "http", "sandbox", "info", "warning", "error"),
        help="Level of the log.",
        example="info",
    ),
    separator="-",
)
