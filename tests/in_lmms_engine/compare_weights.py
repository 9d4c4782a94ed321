"""Prints as JSON how the weights of two checkpoints differ, in an environment with torch.

    python compare_weights.py ONE OTHER [FACTOR]

OTHER's weights are multiplied by FACTOR first.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file


def main(one: Path, other: Path, factor: float = 1.0) -> None:
    """Compare them, tensor by tensor."""
    left, right = (load_file(path / "model.safetensors") for path in (one, other))
    both = left.keys() & right.keys()
    told = {
        "tensors": len(both),
        "only_in_one": sorted(left.keys() ^ right.keys()),
        "different": [name for name in both if not torch.equal(left[name], right[name] * factor)],
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]) if len(sys.argv) > 3 else 1.0)
