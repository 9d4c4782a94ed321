"""The options of ``evalserver submit`` that make a request: one for each of its fields."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from evalserver.cli import values
from evalserver.cli.completing import complete_models, complete_tasks
from evalserver.cli.values import labels_option, read_with

Command = Callable[..., Any]


def with_request(command: Command) -> Command:
    """Give a command the options of a request, and those that were given as ``fields``."""

    @wraps(command)
    def called(**kwargs: Any) -> Any:
        given = {name: kwargs.pop(name) for name in NAMES}
        fields = {name: value for name, value in given.items() if value not in (None, {}, [])}
        return command(fields=fields, **kwargs)

    wrapped: Command = called
    for option in reversed(OPTIONS):
        wrapped = option(wrapped)
    return wrapped


OPTIONS = (
    click.option("--model", "-m", metavar="NAME", shell_complete=complete_models,
                 help="The harness's name for the kind of model; 'evalserver models' lists them."),
    click.option("--model-args", "-a", metavar="NAME=VALUE,...", multiple=True,
                 callback=read_with(values.arguments),
                 help="Arguments of the model, such as pretrained=PATH, or a JSON object."),
    click.option("--tasks", "-t", metavar="TASK,...", multiple=True,
                 callback=read_with(values.names), shell_complete=complete_tasks,
                 help="What to evaluate; 'evalserver tasks' lists them."),
    click.option("--limit", metavar="NUMBER", callback=read_with(values.number),
                 help="Samples of each task: a number, a share below 1, or -1 for all."),
    click.option("--num-fewshot", "-f", type=int, help="Examples in the prompt."),
    click.option("--batch-size", "-b", metavar="N", callback=read_with(values.whole_or_word),
                 help="Samples in a batch: a number, auto, or auto:N."),
    click.option("--device", metavar="NAME", help="Where the model runs, such as cuda:0."),
    click.option("--gen-kwargs", metavar="NAME=VALUE,...",
                 callback=read_with(values.generation_arguments),
                 help="Arguments of generation, or a JSON object."),
    click.option("--log-samples/--no-log-samples", default=None,
                 help="Keep every sample with the model's answer [default: keep]."),
    click.option("--predict-only/--no-predict-only", "-x", default=None,
                 help="Let the model answer, but compute no metrics."),
    click.option("--num-gpus", type=int, help="GPUs that it needs [default: 1]."),
    click.option("--output-dir", metavar="PATH",
                 help="Directory of the server's machine for the results."),
    click.option("--engine", metavar="NAME",
                 help="Which harness: lmms_eval, lm_eval [default: the server's]."),
    click.option("--priority", type=int, help="A higher one goes before what waits."),
    labels_option("A label to find the job by."),
    click.option("--timeout", "timeout_s", metavar="SECONDS",
                 callback=read_with(values.seconds),
                 help="How long an attempt may take: seconds, or 30m, 2h."),
    click.option("--max-attempts", type=int,
                 help="How often it may be tried when the machine or the runner fails."),
    click.option("--seed", type=int, help="For what the harness draws at random."),
    click.option("--use-cache/--no-use-cache", default=None,
                 help="Keep answers, so that a later attempt does not ask the model again."),
    click.option("--wait-for-path", "wait_for_path_s", metavar="SECONDS",
                 callback=read_with(values.seconds),
                 help="How long to wait for a checkpoint that is still written to: seconds, 30m."),
    click.option("--lmms-engine-kwargs", metavar="NAME=VALUE,...", multiple=True,
                 callback=read_with(values.arguments),
                 help="Merge a checkpoint first: model_path, checkpoint_type, output_path."),
)  # fmt: skip

NAMES = (
    "model", "model_args", "tasks", "limit", "num_fewshot", "batch_size", "device", "gen_kwargs",
    "log_samples", "predict_only", "num_gpus", "output_dir", "engine", "priority", "labels",
    "timeout_s", "max_attempts", "seed", "use_cache", "wait_for_path_s", "lmms_engine_kwargs",
)  # fmt: skip
