"""Parsing untrusted JSON: what is rejected and what is accepted."""

import math

import pytest

from evalserver.core.bounded_json import MAX_DEPTH, InvalidJson, parse_json, parse_object


def test_nan_is_parsed_as_python_writes_it() -> None:
    assert math.isnan(parse_json(b'{"acc": NaN}')["acc"])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"[" * 20_000 + b"]" * 20_000, "nested more than 100 deep"),
        (b'{"a":' * 20_000 + b"1" + b"}" * 20_000, "nested more than 100 deep"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "nested more than 100 deep"),
        (b"1" * 400, "a number of 400 characters"),
        (b"0." + b"1" * 400, "a number of 402 characters"),
        (b"1" * 100_000, "a number of 100000 characters"),
        (b"[" + b"1," * 1_000_000 + b"1]", "more than 1000000 values"),
        (b'{"acc": ', "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"", "not JSON"),
    ],
    ids=["array", "object", "just", "integer", "float", "huge", "many", "cut", "bytes", "empty"],
)
def test_rejected_json_is_explained(text: bytes, why: str) -> None:
    with pytest.raises(InvalidJson, match=why):
        parse_json(text)


def test_a_value_at_the_depth_limit_is_parsed() -> None:
    assert parse_json(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)


def test_json_that_is_not_an_object_is_rejected_where_one_is_required() -> None:
    with pytest.raises(InvalidJson, match="not a JSON object"):
        parse_object(b"[]")


def test_too_many_arrays_and_objects_are_rejected() -> None:
    with pytest.raises(InvalidJson, match="more than 50000 arrays and objects"):
        parse_json(b"[" + b"[]," * 50_000 + b"[]]")
