"""Finding the real harnesses: ``./scripts/test`` installs each into an environment of its own."""

import os
from pathlib import Path

VENVS = Path(__file__).parents[1] / ".venvs"


def interpreter(harness: str) -> Path:
    """The interpreter that has the harness (``lmms-eval``, ``lm-eval``); it may not be there."""
    return VENVS / harness / "bin" / "python"


def is_installed(harness: str) -> bool:
    """Did ``./scripts/test`` install the harness, to the end?"""
    return (VENVS / harness / "installed-from").is_file()


def offline_environment(cache: Path) -> dict[str, str]:
    """An environment in which a harness asks no hub for anything."""
    switches = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(cache)}
    return {**os.environ, **switches}
