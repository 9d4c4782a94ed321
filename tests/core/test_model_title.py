"""What people call the model of a request."""

import pytest

from evalserver.core.model_title import model_title


@pytest.mark.parametrize(
    ("model_args", "title"),
    [(None, "qwen2_vl"), ({}, "qwen2_vl"), ({"pretrained": "org/model"}, "org/model"),
     ({"model": "served", "base_url": "x"}, "served"), ({"pretrained": 5}, "qwen2_vl")],
)  # fmt: skip
def test_a_job_is_named_after_its_checkpoint(
    model_args: dict[str, object] | None, title: str
) -> None:
    assert model_title({"model": "qwen2_vl", "model_args": model_args}) == title
