"""Checkpoints in shards, as lmms-engine's training leaves them."""

import json
from pathlib import Path
from typing import Any

REGULAR, EMA = "pytorch_model_fsdp_0", "pytorch_ema_model_fsdp_0"


def in_shards(path: Path, *, weights: str = "weights", ema: bool = False, **behave: Any) -> Path:
    """Make one of two ranks; what ``behave`` says is done by the stand-in for the merger."""
    for folder in (REGULAR, EMA) if ema else (REGULAR,):
        (path / folder).mkdir(parents=True, exist_ok=True)
        for rank in range(2):
            name = f"model_world_size_2_rank_{rank}.pt"
            (path / folder / name).write_text(f"{folder} {weights} {rank}\n")
    if behave:
        (path / "behave.json").write_text(json.dumps(behave))
    return path


def merges_of(path: Path) -> list[str]:
    """The types of the merges that the stand-in has made of a checkpoint."""
    journal = path / "merges"
    return journal.read_text().split() if journal.exists() else []
