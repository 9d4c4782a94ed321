"""``python -m evalserver`` is the command ``evalserver``: this is where both begin."""

import sys


def main() -> None:
    """The command line. Ctrl-C while it is being loaded ends it without a word."""
    try:
        from evalserver.cli.main import main as command_line
    except KeyboardInterrupt:
        from evalserver.cli.exit_codes import ExitCode

        sys.exit(ExitCode.INTERRUPTED)
    command_line()


if __name__ == "__main__":
    main()
