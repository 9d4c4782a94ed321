"""Parsing JSON of others: what is refused, and what is not."""

import math

import pytest

from evalserver.core.bounded_json import MAX_DEPTH, InvalidJson, parse_json, parse_object


def test_nan_is_read_as_python_writes_it() -> None:
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
def test_what_is_not_parsed_is_told(text: bytes, why: str) -> None:
    with pytest.raises(InvalidJson, match=why):
        parse_json(text)


def test_a_value_as_deep_as_is_allowed_is_parsed() -> None:
    assert parse_json(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)


def test_a_text_that_is_no_object_is_refused_where_one_is_needed() -> None:
    with pytest.raises(InvalidJson, match="not a JSON object"):
        parse_object(b"[]")


def test_more_arrays_and_objects_than_are_allowed_are_not_parsed() -> None:
    with pytest.raises(InvalidJson, match="more than 50000 arrays and objects"):
        parse_json(b"[" + b"[]," * 50_000 + b"[]]")
