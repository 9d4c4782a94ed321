"""The format of the server's log when it is not a terminal."""

import subprocess
import sys

PROGRAM = """
import structlog
from evalserver.server.logging import configure_log

configure_log()
log = structlog.get_logger("evalserver")
{statement}
"""

RUN = """
import asyncio
asyncio.run(run())
"""

IN_A_LOOP = (
    """
import os
write = os.write
os.write = lambda to, text: print(text.count(b"\\n"), "lines") or write(to, text)

async def run():
    log.info("a")
    log.info("b")
"""
    + RUN
)


def lines(statement: str) -> list[str]:
    """Return the log lines of a program that runs the statement."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(statement=statement)],
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


def test_an_ambiguous_text_is_quoted() -> None:
    [line] = lines(r"log.warning('refused', why='a b', name='x\ny', empty='')")

    assert line.endswith(r"[warning] refused why='a b' name='x\ny' empty=''")


def test_an_exception_is_followed_by_its_traceback() -> None:
    first, *trace = lines(
        "try:\n    1 / 0\nexcept ZeroDivisionError:\n    log.exception('failed', job='j')"
    )

    assert first.endswith("[error] failed job=j")
    assert trace[0] == "Traceback (most recent call last):"
    assert trace[-1] == "ZeroDivisionError: division by zero"


def test_what_an_event_loop_logs_in_one_round_is_written_at_once() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(statement=IN_A_LOOP)],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == "2 lines\n"


def test_what_an_event_loop_logs_last_is_written_at_the_end() -> None:
    first, second = lines("async def run():\n    log.info('a')\n    log.info('b')\n" + RUN)

    assert (first.endswith("a"), second.endswith("b")) == (True, True)
