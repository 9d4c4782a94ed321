"""The runner's program: ``python -I -S evalserver/runner RUN_DIR``."""

import sys
from pathlib import Path
from types import ModuleType

# A package without its __init__, which would import the client and the server.
package = ModuleType("evalserver")
package.__path__ = [str(Path(__file__).resolve().parents[1])]
sys.modules.setdefault("evalserver", package)

if __name__ == "__main__":
    from evalserver.runner.supervisor import main

    sys.exit(main(Path(sys.argv[1])))
