"""The runner's program: ``python -I -S evalserver/runner RUN_DIR``.

With ``--foreground`` before the directory it runs on a node of a cluster (``foreground.py``). With
``--can-limit-memory`` it runs nothing, and exits with 0 if it could limit memory.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

# A package without its __init__, which would import the client and the server.
package = ModuleType("evalserver")
package.__path__ = [str(Path(__file__).resolve().parents[1])]
sys.modules.setdefault("evalserver", package)

if __name__ == "__main__":
    from evalserver.runner.foreground import FOREGROUND_OPTION, run_in_foreground
    from evalserver.runner.memory_limit import CHECK_OPTION, can_limit_memory
    from evalserver.runner.supervisor import main

    if sys.argv[1] == CHECK_OPTION:
        sys.exit(0 if can_limit_memory() else 1)
    if sys.argv[1] == FOREGROUND_OPTION:
        sys.exit(run_in_foreground(Path(sys.argv[2])))
    sys.exit(main(Path(sys.argv[1])))
