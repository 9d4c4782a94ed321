"""Names that an operator gives to tables of the settings, such as ``[engines.NAME]``."""

import re

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")


def require_table_name(kind: str, name: str) -> None:
    """Raise ValueError, with what is allowed, unless a table of this kind may have the name."""
    if not NAME.fullmatch(name):
        raise ValueError(
            f"{kind}: {name!r} is not a valid name: up to 64 letters, digits or _ . -, beginning "
            "with a letter"
        )
