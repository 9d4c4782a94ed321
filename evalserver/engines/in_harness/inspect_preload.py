"""Imports Inspect AI for a warm parent: see ``preload.py``."""

import preload as shared  # type: ignore[import-not-found]

PACKAGE = "inspect_ai"
DISTRIBUTION = "inspect-ai"
MODULES = (
    "inspect_ai",
    "inspect_ai._eval.eval",
    "inspect_ai.hooks._startup",
    "inspect_ai.model._openai_responses",
    "inspect_ai.model._providers.none",
    "inspect_ai.agent._acp.server",
    "inspect_ai._control.current_server",
    "inspect_ai.log",
)


def preload(include_path: str) -> None:
    """Import Inspect AI."""
    shared.import_all(MODULES)
