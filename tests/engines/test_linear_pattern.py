"""Operators' patterns: matching takes linear time, and other patterns are rejected."""

import asyncio

import pytest

from evalserver.engines.linear_pattern import LinearPattern
from evalserver.engines.parameters import Parameter
from evalserver.engines.patterns import PatternReader
from tests.conftest import MakeApi
from tests.support import request

EXPONENTIAL = "(?:[a-z0-9]+-?)+"
HOSTILE = "a" * 36 + "!"


def test_a_malicious_value_is_rejected_immediately() -> None:
    assert not LinearPattern(EXPONENTIAL).matches(HOSTILE)


def test_a_value_that_a_pattern_allows_matches_completely() -> None:
    assert LinearPattern(EXPONENTIAL).matches("a-b-c1")


def test_named_groups_are_found() -> None:
    pattern = LinearPattern(r"(?P<done>\d+)/(?P<total>\d+)?")

    assert pattern.search("step 3/") == {"done": "3", "total": None}


@pytest.mark.parametrize("pattern", [r"(a)\1", "(?=a)b", "(?<!a)b", "(", "(a{1000}){1000}"])
def test_unsupported_syntax_is_rejected_and_named(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"engines\.own\.parameters\.name\.pattern: .* RE2"):
        Parameter.read("engines.own.parameters", "name", {"pattern": pattern})


def test_a_malicious_line_does_not_block_progress() -> None:
    reader = PatternReader(f"(?P<done>{EXPONENTIAL})$")

    assert reader.read(HOSTILE.encode() + b"\n").stage == "running"


async def test_a_server_responds_while_a_malicious_value_is_checked(make_api: MakeApi) -> None:
    engine = {
        "type": "command",
        "argv": ["/bin/true", "--name={name}", "--tasks={tasks}"],
        "results": "results.json",
        "parameters": {"name": {"pattern": EXPONENTIAL}},
    }
    api = await make_api(engines={"own": engine})
    body = request(engine="own", model_args={"name": HOSTILE})

    rejected, health = await asyncio.gather(
        api.call("POST", "/evaluate?validate=false", 422, json=body), api.call("GET", "/health")
    )

    assert health["status"] == "healthy"
    assert [fault["field"] for fault in rejected["errors"]] == ["model_args.name"]
