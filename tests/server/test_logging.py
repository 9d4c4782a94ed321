"""What the server's log looks like where nobody sees colours."""

import subprocess
import sys

PROGRAM = """
import structlog
from evalserver.server.logging import configure_log

configure_log()
log = structlog.get_logger("evalserver")
{what}
"""


def lines(what: str) -> list[str]:
    """What a program writes to its log that does this."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(what=what)],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stderr.splitlines()


def test_an_event_is_one_line_with_its_details() -> None:
    [line] = lines("log.info('job submitted', job='j', n=1)")

    time, _, rest = line.partition(" ")
    assert time.endswith("Z")
    assert rest == "[info] job submitted job=j n=1"


def test_a_text_that_could_be_mistaken_is_quoted() -> None:
    [line] = lines(r"log.warning('refused', why='a b', name='x\ny', empty='')")

    assert line.endswith(r"[warning] refused why='a b' name='x\ny' empty=''")


def test_an_exception_comes_with_its_trace() -> None:
    first, *trace = lines(
        "try:\n    1 / 0\nexcept ZeroDivisionError:\n    log.exception('failed', job='j')"
    )

    assert first.endswith("[error] failed job=j")
    assert trace[0] == "Traceback (most recent call last):"
    assert trace[-1] == "ZeroDivisionError: division by zero"
