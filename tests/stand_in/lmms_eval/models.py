"""What the stand-in answers when it is asked for its models."""


def list_available_models(include_aliases: bool = False) -> list[str]:
    """One model."""
    return ["dummy"]
