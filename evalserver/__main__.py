"""``python -m evalserver`` is the command ``evalserver``."""

from evalserver.cli.main import main

if __name__ == "__main__":
    main()
