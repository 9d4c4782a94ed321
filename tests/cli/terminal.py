"""A real pseudo-terminal for the command line, and the screen a user sees on it."""

import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

import pyte

from tests.support import WAIT_SECONDS, stand_in_environment

ROWS = 40


class Terminal:
    """``evalserver ...`` on its own terminal; ``with`` starts it, and kills it if it still runs."""

    def __init__(
        self, *arguments: object, columns: int = 100, environment: Mapping[str, str] | None = None
    ) -> None:
        self._arguments = [str(each) for each in arguments]
        self._environment = _terminal_environment() | dict(environment or {})
        self._screen = pyte.Screen(columns, ROWS)
        self._stream = pyte.ByteStream(self._screen)
        self._size = struct.pack("HHHH", ROWS, columns, 0, 0)
        self._changed = threading.Condition()
        self._seen: list[str] = []
        self.written = b""

    def __enter__(self) -> Self:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, self._size)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "evalserver", *self._arguments],
            env=self._environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=_control_terminal,
        )
        os.close(theirs)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(timeout=WAIT_SECONDS)
        self._reader.join(timeout=WAIT_SECONDS)
        os.close(self._ours)

    def press_ctrl_c(self) -> None:
        """Send Ctrl-C as the keyboard does."""
        os.write(self._ours, b"\x03")

    def type(self, text: str) -> None:
        """Type a line."""
        os.write(self._ours, f"{text}\n".encode())

    def terminate(self) -> None:
        """Send SIGTERM as a scheduler does."""
        self._process.send_signal(signal.SIGTERM)

    def until(self, shows: Callable[[str], bool] | str) -> str:
        """Wait until the screen shows something, even briefly, and return the screen."""
        matches = (lambda text: shows in text) if isinstance(shows, str) else shows
        looked_at = 0

        def find_new() -> str | None:
            nonlocal looked_at
            new, looked_at = self._seen[looked_at:], len(self._seen)
            return next((text for text in new if matches(text)), None)

        with self._changed:
            found = self._changed.wait_for(remember(find_new), timeout=WAIT_SECONDS)
        assert found, f"the terminal never showed it:\n{self.screen()}"
        return found

    def end(self) -> int:
        """Wait until the command has exited and its output was read, and return the exit code."""
        code = self._process.wait(timeout=WAIT_SECONDS)
        self._reader.join(timeout=WAIT_SECONDS)
        return code

    def screen(self) -> str:
        """Return the current contents of the screen."""
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    def _read(self) -> None:
        while True:
            try:
                piece = os.read(self._ours, 65536)
            except OSError:  # the other end was closed
                piece = b""
            with self._changed:
                self.written += piece
                self._stream.feed(piece)
                self._seen.append(self.screen())
                self._changed.notify_all()
            if not piece:
                return


def remember(find_new: Callable[[], str | None]) -> Callable[[], str | None]:
    """Remember the first match, so that a later call returns it again."""
    found: list[str] = []

    def look() -> str | None:
        if not found:
            text = find_new()
            found.extend([text] if text else [])
        return found[0] if found else None

    return look


def _terminal_environment() -> dict[str, str]:
    """Return the environment of a user at a common terminal, in UTC."""
    mine = {name: value for name, value in stand_in_environment().items() if name != "NO_COLOR"}
    for name in ("EVALSERVER_URL", "EVALSERVER_TOKEN", "COLUMNS", "LINES", "FORCE_COLOR"):
        mine.pop(name, None)
    return mine | {"TERM": "xterm-256color", "TZ": "UTC", "LANG": "C.UTF-8"}


def _control_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    # A process started in the background ignores SIGINT, and its children inherit that.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
