"""Reading the files that W&B's package writes in its offline mode, which ``wandb sync`` sends."""

from pathlib import Path
from typing import Any

from tests.trackers.following import read_by

READ = """
import json, struct, sys
from pathlib import Path
from wandb.proto.wandb_internal_pb2 import Record

BLOCK, HEADER, FIRST_HEADER = 32768, 7, 7

def records(data):
    at, parts = FIRST_HEADER, []
    while at + HEADER <= len(data):
        if BLOCK - at % BLOCK < HEADER:
            at += BLOCK - at % BLOCK
            continue
        _, size, kind = struct.unpack("<IHB", data[at:at + HEADER])
        parts.append(data[at + HEADER:at + HEADER + size])
        at += HEADER + size
        if kind in (1, 4):
            record = Record()
            record.ParseFromString(b"".join(parts))
            yield record
            parts = []

def items(found):
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in found}

def run_of(path):
    run = {"history": [], "summary": {}, "metrics": {}, "config": {}}
    for record in records(path.read_bytes()):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            run |= {"id": record.run.run_id, "group": record.run.run_group,
                    "name": record.run.display_name, "tags": list(record.run.tags)}
            run["config"] |= items(record.run.config.update)
        elif kind == "config":
            run["config"] |= items(record.config.update)
        elif kind == "history":
            run["history"].append(items(record.history.item))
        elif kind == "summary":
            run["summary"] |= items(record.summary.update)
        elif kind == "metric":
            name = record.metric.name or record.metric.glob_name
            run["metrics"][name] = record.metric.step_metric
        elif kind == "exit":
            run["exit"] = record.exit.exit_code
    return run

files = sorted(Path(sys.argv[1]).glob("wandb/offline-run-*/*.wandb"))
print(json.dumps([run_of(path) for path in files]))
"""
"""Prints the runs in a directory as JSON."""


def offline_runs(folder: Path) -> list[Any]:
    """The runs of a directory."""
    found: list[Any] = read_by(READ, folder)
    return found
