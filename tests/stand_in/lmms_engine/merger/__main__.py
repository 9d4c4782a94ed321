"""``python -m lmms_engine.merger``: accepts its flags, behaves as ``behave.json`` beside the
shards says, and appends a line to ``merges`` there."""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

FOLDERS = {"regular": "pytorch_model_fsdp_0", "ema": "pytorch_ema_model_fsdp_0"}


def main() -> None:
    """Pretend to merge."""
    given = _arguments()
    checkpoint = Path(given.checkpoint_path)
    shards = sorted((checkpoint / FOLDERS[given.checkpoint_type]).glob("*.pt"))
    asked = _asked(checkpoint)
    with (checkpoint / "merges").open("a") as journal:
        journal.write(f"{given.checkpoint_type}\n")
    for done in range(1, len(shards) + 1):
        sys.stderr.write(f"\rLoading shards: {done * 100 // len(shards)}%|#| {done}/{len(shards)} ")
        sys.stderr.write("[00:01<00:01, 1.00it/s]")
    sys.stderr.write("\n")
    while "until" in asked and not Path(asked["until"]).exists():
        time.sleep(0.02)
    if asked.get("behave") == "fail":
        raise ValueError("the shards do not fit together")
    if asked.get("behave") == "nothing":
        return
    if asked.get("behave") == "overwritten":
        shards[0].write_text("newer weights")
    _write(Path(given.output_path or checkpoint), "".join(each.read_text() for each in shards))


def _write(output: Path, weights: str) -> None:
    output.mkdir(parents=True, exist_ok=True)
    (output / "config.json").write_text("{}")
    (output / "model.safetensors").write_text(weights)


def _asked(checkpoint: Path) -> dict[str, Any]:
    try:
        asked: dict[str, Any] = json.loads((checkpoint / "behave.json").read_text())
    except FileNotFoundError:
        return {}
    return asked


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--checkpoint_path", required=True)
    parser.add_argument("--output_path")
    parser.add_argument("--checkpoint_type", default="regular")
    return parser.parse_args()


if __name__ == "__main__":
    main()
