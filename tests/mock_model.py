"""Inspect's model for tests: it gives the answers that it is told."""

from tests.support import Json

MODEL = "mockllm/model"


def mock_answers(*answers: str) -> Json:
    """The ``model_args`` of a model that gives these answers in turn."""
    # Without usage, Inspect would fetch a tokenizer to count tokens.
    usage = {"input_tokens": 9, "output_tokens": 1, "total_tokens": 10}
    outputs = [
        {
            "model": MODEL,
            "choices": [{"message": {"role": "assistant", "content": answer}}],
            "usage": usage,
        }
        for answer in answers
    ]
    return {"custom_outputs": outputs}
