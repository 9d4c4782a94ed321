"""Requests that are made of values, without a call for every field."""

from evalserver.core.request import EvaluateRequest

VALUES = {"model": "dummy", "tasks": ("mme",), "limit": 8}


def test_a_request_of_values_is_the_one_that_the_class_makes() -> None:
    assert EvaluateRequest.of(VALUES) == EvaluateRequest("dummy", ("mme",), limit=8)


def test_a_request_of_values_has_every_field() -> None:
    assert vars(EvaluateRequest.of(VALUES)) == vars(EvaluateRequest("dummy", ("mme",), limit=8))


def test_requests_of_values_share_no_labels() -> None:
    EvaluateRequest.of(VALUES).labels["run"] = "sft"

    assert EvaluateRequest.of(VALUES).labels == {}
