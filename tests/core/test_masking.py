"""What counts as a secret, and the forms in which it can appear in a log."""

import os
import time

import pytest

from evalserver.core.masking import (
    find_secrets,
    is_secret_name,
    mask_text,
    masked,
    parse_assignments,
)

SECRET = "sk-0123456789"  # noqa: S105 - nobody's


@pytest.mark.parametrize(
    "name",
    ["api_key", "apikey", "apiKey", "API_KEY", "hf_token", "HF_TOKEN", "OPENAI_API_KEY", "password",
     "client-secret", "azureCredentials", "Authorization"],
)  # fmt: skip
def test_these_names_denote_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name", ["tokenizer", "max_tokens", "TOKENIZERS_PARALLELISM", "keyboard", "model", "monkey"]
)
def test_these_names_do_not_denote_secrets(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    "values",
    [
        {"api_key": SECRET},
        {"client": {"auth": {"token": SECRET}}},
        {"keys": [], "credentials": [{"value": SECRET}]},
        {"base_url": f"https://user:{SECRET}@host/v1"},
    ],
)
def test_a_secret_is_found_at_any_depth(values: dict[str, object]) -> None:
    assert find_secrets(values) == [SECRET]


def test_secrets_from_several_sources_are_combined() -> None:
    assert find_secrets({"api_key": SECRET}, None, {"HF_TOKEN": "hf_abcdefgh"}) == [
        SECRET,
        "hf_abcdefgh",
    ]


def test_eight_characters_are_long_enough_to_be_a_secret() -> None:
    assert find_secrets({"password": "12345678"}) == ["12345678"]


@pytest.mark.parametrize("value", ["none", "EMPTY", "", 12345678, None, True])
def test_short_values_and_non_strings_are_not_masked(value: object) -> None:
    assert find_secrets({"api_key": value}) == []


@pytest.mark.parametrize("value", ["<|endoftext|>", "<image_placeholder>", "[SPECIAL_TOKEN]"])
def test_special_tokens_of_models_are_not_secrets(value: str) -> None:
    assert find_secrets({"eos_token": value}) == []
    assert masked({"eos_token": value}) == {"eos_token": value}


@pytest.mark.parametrize(
    ("text", "secrets"),
    [
        (f"temperature=0,api_key={SECRET}", [SECRET]),
        (f"until=x, token = {SECRET} ", [SECRET]),
        ("url=http://u:quite-secret@host", ["quite-secret"]),
        ("note=the key: accuracy", []),
        ("temperature=0", []),
        ("", []),
    ],
)
def test_secrets_are_found_in_an_argument_string(text: str, secrets: list[str]) -> None:
    assert find_secrets(parse_assignments(text)) == secrets


def test_a_secret_is_found_in_every_form_that_a_log_can_contain() -> None:
    assert set(find_secrets({"password": 'ä"\\/ 12345'})) == {
        'ä"\\/ 12345',
        "%C3%A4%22%5C%2F%2012345",
        '\\u00e4\\"\\\\/ 12345',
        'ä\\"\\\\/ 12345',
        'ä"\\\\/ 12345',
    }


def test_an_unparsable_url_contains_no_secret() -> None:
    assert find_secrets({"base_url": "http://[nonsense"}) == []


def test_a_variable_that_is_not_a_string_can_be_a_secret() -> None:
    value = os.fsdecode(b"\xff\xfe-0123456789")

    assert value in find_secrets({"API_TOKEN": value})


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("api_key=abcdefghij,x=1", "api_key=[secret],x=1"),
        ("see http://u:passw0rd@h/x", "see http://[secret]@h/x"),
        ("Authorization: Bearer abcdefghij", "Authorization: [secret]"),
        ("/jobs?token=abcdefghij&a=1", "/jobs?token=[secret]&a=1"),
        ("of hf_abcdefghijklmnopqrst", "of [secret]"),
        ("of sk-proj-abcdefghijklmnop", "of [secret]"),
        ('{"api_key": "s3cr3tvalue"}', '{"api_key": "[secret]"}'),
        ("tokenizer=abcdefghij", "tokenizer=abcdefghij"),
        ("max_tokens: 100000000", "max_tokens: 100000000"),
        ("a task named hf_x", "a task named hf_x"),
    ],
)
def test_a_secret_is_recognized_by_name_or_by_format(text: str, shown: str) -> None:
    assert mask_text(text) == shown


def test_everything_below_a_secret_name_is_masked() -> None:
    value = {"a": [{"hfToken": {"deep": "x"}}], "b": "http://u:p4ssw0rd@h", "key": None, "n": 1}

    assert masked(value) == {
        "a": [{"hfToken": "[secret]"}], "b": "http://[secret]@h", "key": None, "n": 1
    }  # fmt: skip


@pytest.mark.parametrize("piece", ["a", "token", "token= ", "http://", "://a:", "hf_", "xoxa-"])
def test_masking_is_fast_for_any_text(piece: str) -> None:
    began = time.process_time()
    mask_text(piece * (200_000 // len(piece)) + "=:")

    assert time.process_time() - began < 5


def test_a_secret_comes_before_its_own_prefix() -> None:
    secrets = {"api_key": "abcdefgh", "token": "abcdefgh-more"}

    assert find_secrets(secrets) == ["abcdefgh-more", "abcdefgh"]
