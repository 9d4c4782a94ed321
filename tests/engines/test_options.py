"""``harness_args``: which options an engine takes, with which values, what an operator allows."""

from typing import Any

import pytest
import yaml

from evalserver.core.request import EvaluateRequest
from evalserver.engines import Engine, make_engines
from evalserver.engines.harness import CONFIG_FILE
from tests.engines.commands import command, exact_text

HARNESSES = ("lmms_eval", "lm_eval", "inspect")


def engine(name: str = "lm_eval", **table: Any) -> Engine:
    """Return the engine with this table."""
    return make_engines("python3", None, {name: table})[name]


def find_faults(harness_args: Any, of: str = "lm_eval", **fields: Any) -> dict[str, str]:
    """Return the faults of a request with these options."""
    table = fields.pop("table", {})
    wanted = EvaluateRequest("dummy", ("mme",), harness_args=harness_args, **fields)
    return engine(of, **table).find_faults(wanted)


@pytest.mark.parametrize("name", HARNESSES)
def test_the_example_of_every_option_is_valid(name: str) -> None:
    options = engine(name).options

    assert [each.name for each in options.values() if each.invalid_reason(each.example)] == []


def test_an_unknown_option_is_named_with_the_nearest_and_all_known_ones() -> None:
    faults = find_faults({"system_instructions": "Be brief."})

    sentence = faults["harness_args.system_instructions"]
    assert "Unknown option. Did you mean 'system_instruction'?" in sentence
    assert (
        "lm_eval takes apply_chat_template, system_instruction, fewshot_as_multiturn," in sentence
    )


def test_a_field_of_the_request_is_no_option() -> None:
    assert find_faults({"num_fewshot": 5}) == {
        "harness_args.num_fewshot": "Is a field of the request: give it beside harness_args."
    }


@pytest.mark.parametrize(
    ("of", "options", "sentence"),
    [
        ("lmms_eval", {"repeats": 0}, "Must be an integer of at least 1 and of at most 10000."),
        ("lmms_eval", {"repeats": True}, "Must be an integer of at least 1 and of at most 10000."),
        ("lmms_eval", {"apply_chat_template": "chatml"}, "Must be true or false."),
        (
            "lm_eval",
            {"apply_chat_template": 1},
            "Must be true or false, or be a text of 1 to 4096 printable characters.",
        ),
        (
            "lmms_eval",
            {"reasoning_tags": ["<a>", "</a>"]},
            "Must be a list of pairs of texts, or be one of none.",
        ),
        (
            "lm_eval",
            {"samples": {"mme": ["1"]}},
            "Must be an object of lists of integers from 0, by task.",
        ),
        (
            "lm_eval",
            {"cache_requests": "ture"},
            "Must be one of true, refresh, delete. Did you mean 'true'?",
        ),
        (
            "inspect",
            {"solver": "agents.py@x"},
            "Must be a registered name, such as chain_of_thought or package/solver; a file is"
            " solver_file.",
        ),
        ("inspect", {"solver_args": {"a": 1}}, "Needs solver or solver_file."),
        ("inspect", {"epochs_reducer": "max"}, "Needs epochs."),
        (
            "inspect",
            {"fail_on_error": "no"},
            "Must be true or false, or be a number of at least 0.",
        ),
        (
            "inspect",
            {"model_roles": {"grader": {"name": "openai/gpt-4o"}}},
            "The role grader must be the name of a model, an object of model, config, base_url,"
            " args, of which only model is required, or a list of these.",
        ),
        ("lm_eval", {"fewshot_as_multiturn": True}, "Needs apply_chat_template."),
        (
            "lmms_eval",
            {"baseline": "/etc/passwd"},
            "Must be a preset such as qwen25vl, or hf://user/repo/file.jsonl.",
        ),
    ],
)  # fmt: skip
def test_an_invalid_value_is_named_with_what_is_allowed(
    of: str, options: dict[str, Any], sentence: str
) -> None:
    [name] = options

    assert find_faults(options, of) == {f"harness_args.{name}": sentence}


def test_samples_and_a_limit_exclude_each_other() -> None:
    options = {"samples": {"mme": [1]}}

    assert "harness_args.samples" in find_faults(options, limit=8)
    assert find_faults(options, limit=-1) == {}


def test_multi_turn_examples_of_lmms_eval_need_examples() -> None:
    options = {"fewshot_as_multiturn": True, "apply_chat_template": True}

    assert find_faults(options, "lmms_eval") == {
        "harness_args.fewshot_as_multiturn": "Needs num_fewshot above 0."
    }


RISKY = [
    ("lm_eval", "confirm_run_unsafe_code", "runs code"),
    ("lm_eval", "trust_remote_code", "runs code"),
    ("lm_eval", "wandb_args", "sends results"),
    ("lmms_eval", "trust_remote_code", "runs code"),
    ("lmms_eval", "launcher_args", "starts another server"),
    ("lmms_eval", "hf_hub_log_args", "sends results"),
    ("inspect", "sandbox", "runs code"),
    ("inspect", "solver_file", "runs code"),
]


@pytest.mark.parametrize(("of", "name", "risk"), RISKY)
def test_an_option_with_a_risk_is_rejected_with_how_the_operator_allows_it(
    of: str, name: str, risk: str
) -> None:
    sentence = find_faults({name: engine(of).options[name].example}, of)[f"harness_args.{name}"]

    assert risk in sentence
    assert f'allow = ["{name}"] in the table [engines.{of}] of the TOML file.' in sentence


@pytest.mark.parametrize(("of", "name", "risk"), RISKY)
def test_an_option_with_a_risk_is_accepted_if_the_operator_allows_it(
    of: str, name: str, risk: str
) -> None:
    options = {name: engine(of).options[name].example}

    assert find_faults(options, of, table={"allow": [name]}) == {}


def test_an_option_with_a_risk_needs_no_permission_in_the_operators_defaults() -> None:
    table = {"harness_args": {"confirm_run_unsafe_code": True}}

    assert find_faults({"confirm_run_unsafe_code": True}, table=table) == {}


def test_another_value_than_the_operators_needs_permission() -> None:
    table = {"harness_args": {"wandb_args": {"project": "lab"}}}

    assert "harness_args.wandb_args" in find_faults({"wandb_args": {"project": "x"}}, table=table)


@pytest.mark.parametrize("value", [False, None])
def test_switching_a_risk_off_needs_no_permission(value: Any) -> None:
    assert find_faults({"confirm_run_unsafe_code": value}) == {}


def test_null_leaves_an_option_to_the_harness() -> None:
    assert command(engine(), harness_args={"samples": None}) == command(engine())


def test_secrets_are_not_in_options_that_lmms_eval_takes_as_flags() -> None:
    options = {"wandb_args": {"name": "x", "api_key": "0123456789abcdef"}}

    faults = find_faults(options, "lmms_eval", table={"allow": ["wandb_args"]})

    assert faults == {"harness_args.wandb_args": "Must not contain secrets: it is a flag."}


@pytest.mark.parametrize("of", HARNESSES)
def test_values_of_options_are_not_on_the_command_line(of: str) -> None:
    options = (
        {"metadata": {"api_key": "sk-123"}}
        if of != "lmms_eval"
        else {"system_instruction": "sk-123"}
    )

    assert "sk-123" not in " ".join(command(engine(of), harness_args=options).argv)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"allow": ["sandbox"]}, "engines.lm_eval.allow: 'sandbox' is no option that has to be"),
        ({"allow": "all"}, "engines.lm_eval.allow must be a list"),
        ({"harness_args": {"samples": 5}}, "lm_eval.harness_args.samples: Must be an object"),
        ({"harness_args": {"sampels": {}}}, "Did you mean 'samples'"),
        ({"harness_args": []}, "engines.lm_eval.harness_args must be a table of options"),
        (
            {"harness_args": {}, "defaults": {"harness_args": {}}},
            "engines.lm_eval.harness_args: is also in engines.lm_eval.defaults",
        ),
        ({"extra_args": "--x"}, "engines.lm_eval.extra_args must be a list of texts"),
        ({"extra_args": ["--api_key=0123456789"]}, "must be without keys and passwords"),
        ({"extra_args": ["--output_path=/x"]}, "the server sets --output_path=/x itself"),
    ],
)  # fmt: skip
def test_an_invalid_table_prevents_the_start(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=r".") as raised:
        engine(**table)

    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("of", "table", "reason"),
    [
        ("inspect", {}, "Inspect is not started by a command line: use harness_args"),
        ("own", {"type": "command", "argv": ["true"]}, "write them into argv"),
        ("merge", {}, "this type of engine takes no further arguments"),
    ],
)
def test_extra_arguments_are_rejected_where_there_is_no_command_line(
    of: str, table: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ValueError, match=rf"engines\.{of}\.extra_args: {reason}"):
        engine(of, extra_args=["--x"], **table)


@pytest.mark.parametrize("of", ["lmms_eval", "lm_eval"])
def test_extra_arguments_end_the_command_line(of: str) -> None:
    extra = ["--check_integrity", "--metadata", "a=b, c"]

    assert command(engine(of, extra_args=extra)).argv[-3:] == tuple(extra)


def test_options_and_arguments_share_the_configuration_file() -> None:
    built = command(
        engine(), model_args={"a": 1}, harness_args={"metadata": {"b": 1.0}, "write_out": False}
    )

    assert exact_text(yaml.safe_load(built.files[CONFIG_FILE])) == exact_text(
        {"model_args": {"a": 1}, "metadata": {"b": 1.0}, "write_out": False}
    )


@pytest.mark.parametrize("of", ["lmms_eval", "lm_eval"])
@pytest.mark.parametrize(
    ("seed", "flag"),
    [(7, "7"), ([0, None, 8, 52], "0,None,8,52"), ([-5, 1, None], "-5,1,None")],
)
def test_seeds_are_passed_in_the_form_of_the_family(of: str, seed: Any, flag: str) -> None:
    assert f"--seed={flag}" in command(engine(of), seed=seed).argv


@pytest.mark.parametrize("seed", [-1, 2**32, [0, -1, 0, 0]])
def test_a_seed_that_numpy_cannot_have_is_rejected(seed: Any) -> None:
    assert "which is what numpy takes" in find_faults(None, seed=seed)["seed"]


def test_inspect_takes_one_seed() -> None:
    assert find_faults(None, "inspect", seed=[1, 2, 3, 4]) == {
        "seed": "Must be a single number for Inspect."
    }
    assert find_faults(None, "inspect", seed=-(2**63)) == {}


@pytest.mark.parametrize("of", ["lmms_eval", "lm_eval"])
def test_a_task_of_a_package_is_a_path_for_other_harnesses(of: str) -> None:
    wanted = EvaluateRequest("dummy", ("mme", "inspect_evals/gsm8k"))

    assert engine(of).find_faults(engine(of).normalized(wanted)) == {
        "tasks.1": "Must be the name of a registered task, not a path."
    }


def test_inspect_takes_both_spellings_of_a_task_of_a_package() -> None:
    wanted = EvaluateRequest("mockllm/model", ("inspect_evals/gsm8k", "a:b", "capitals"))

    assert engine("inspect").normalized(wanted).tasks == ("inspect_evals:gsm8k", "a:b", "capitals")
