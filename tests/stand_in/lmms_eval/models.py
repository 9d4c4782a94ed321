"""The models that the stand-in lists."""


def list_available_models(include_aliases: bool = False) -> list[str]:
    """One model."""
    return ["dummy"]
