"""Stands for the interpreter of a harness. Run as a warm parent, it does what the text of its
preload program says; run in any other way, it is Python."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

WARM = "warm"


def main() -> None:
    if len(sys.argv) < 2 or Path(sys.argv[1]).name != WARM:
        os.execv(sys.executable, [sys.executable, *sys.argv[1:]])  # noqa: S606
    behavior = Path(sys.argv[3]).read_text()
    end = socket.socket(fileno=int(sys.argv[2]))
    if behavior == "loads for ever":
        end.recv(1)
        return
    if behavior == "unusable":
        _send(end, {"unusable": "it has a thread"})
        return
    if behavior == "dies":
        return
    _send(end, {"ready": True, "harness": "1.0"})
    for line in end.makefile("rb"):
        start = json.loads(line)
        if behavior == "refuses":
            _send(end, {"refused": "a file has changed"})
            return
        if behavior != "does not answer":
            code = _start(start)
        if behavior in ("does not answer", "starts and does not answer"):
            time.sleep(1000)
        _send(end, {"code": code if behavior == "starts" else 1, "fork_ms": 1.0})


def _start(start: dict[str, Any]) -> int:
    program = Path(sys.argv[1]).parent
    command = [sys.executable, "-I", "-S", str(program), start["start"]]
    return subprocess.run(command, env=start["environment"], check=False).returncode


def _send(end: socket.socket, message: dict[str, Any]) -> None:
    end.sendall(json.dumps(message).encode() + b"\n")


main()
