"""What the stand-in answers when it is asked for its models."""


def list_available_models() -> list[str]:
    """One model."""
    return ["dummy"]
