"""Running a Python script in a forked process as a new interpreter would run it."""

from __future__ import annotations

import ctypes
import gc
import importlib
import io
import os
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from evalserver.runner.warm import ending
from evalserver.runner.warm.descriptors import open_descriptors

MAIN = "__main__"
INTERRUPTED = 130


def close_descriptors(kept: set[int]) -> None:
    """Close all descriptors but the three standard ones and those that are kept."""
    for descriptor in open_descriptors():
        if descriptor not in kept:
            os.close(descriptor)


def replace_environment(environment: Mapping[bytes, bytes]) -> None:
    """Make this the environment, for Python and for libraries in C."""
    os.environb.clear()
    os.environb.update(environment)


def make_streams_for_a_pipe() -> None:
    """Make the standard streams new, as at the start of an interpreter that writes into a pipe.

    A stream remembers what it was opened for, and modules may keep streams when they are imported.
    Afterwards the descriptors are those from before.
    """
    reader, writer = os.pipe()
    before = [os.dup(descriptor) for descriptor in (1, 2)]
    try:
        for descriptor in (1, 2):
            os.dup2(writer, descriptor)
        sys.stdin = sys.__stdin__ = _stream(sys.__stdin__, 0, "r")  # type: ignore[misc]
        sys.stdout = sys.__stdout__ = _stream(sys.__stdout__, 1, "w")  # type: ignore[misc]
        sys.stderr = sys.__stderr__ = _stream(sys.__stderr__, 2, "w")  # type: ignore[misc]
    finally:
        for descriptor, saved in zip((1, 2), before):
            os.dup2(saved, descriptor)
        for descriptor in (reader, writer, *before):
            os.close(descriptor)


def new_main(path: str) -> ModuleType:
    """Return the module ``__main__`` of a script, put in its place."""
    main = ModuleType(MAIN)
    main.__dict__.update(
        __file__=path,
        __cached__=None,
        __builtins__=sys.modules["builtins"],
        __loader__=SourceFileLoader(MAIN, path),
        __annotations__={},
    )
    sys.modules[MAIN] = main
    return main


def forget_the_parent(argv: tuple[str, ...]) -> ModuleType:
    """Renew what a new process has for itself: arguments, where modules are found, keys and times.
    Returns its module ``__main__``."""
    script = argv[1]
    sys.argv = list(argv[1:])
    if "orig_argv" in vars(sys):  # since Python 3.10
        vars(sys)["orig_argv"] = list(argv)
    sys.path[0] = str(Path(script).resolve().parent)
    importlib.invalidate_caches()
    process: Any = sys.modules.get("multiprocessing.process")
    if process is not None:
        process.current_process().authkey = os.urandom(32)
    logging: Any = sys.modules.get("logging")
    if logging is not None:
        in_ns = isinstance(logging._startTime, int)
        logging._startTime = time.time_ns() if in_ns else time.time()
    return new_main(script)


def run_script(script: str, main: ModuleType, libraries: frozenset[str]) -> NoReturn:
    """Run a script to its end, and end the process as an interpreter would.

    ``libraries`` are those of the parent.
    """
    code = 1
    # What is there now is not the script's: its end has nothing to do with it.
    gc.freeze()
    try:
        code = _run(script, main)
    finally:
        ending.end_process(code, libraries)


def _run(script: str, main: ModuleType) -> int:
    try:
        exec(compile(Path(script).read_bytes(), script, "exec"), main.__dict__)  # noqa: S102
    except SystemExit as error:
        return _exit_code(error.code)
    except KeyboardInterrupt as error:
        _print(error)
        _end_by_interrupt()
    except BaseException as error:
        return _print(error)
    return 0


def _stream(like: Any, descriptor: int, mode: str) -> Any:
    is_unbuffered = mode == "w" and bool(like.write_through)
    buffer: Any = open(descriptor, f"{mode}b", 0 if is_unbuffered else -1, closefd=False)  # noqa: SIM115
    raw = buffer if is_unbuffered else buffer.raw
    raw.name = f"<{('stdin', 'stdout', 'stderr')[descriptor]}>"
    stream: Any = io.TextIOWrapper(
        buffer,
        like.encoding,
        like.errors,
        newline="\n",
        line_buffering=not is_unbuffered and descriptor == 2,
        write_through=is_unbuffered,
    )
    stream.mode = mode
    return stream


def _exit_code(code: object) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return ctypes.c_int(code).value
    print(code, file=sys.stderr, flush=True)
    return 1


def _print(error: BaseException) -> int:
    """Print an uncaught exception as an interpreter does; return the exit code."""
    _leave_out_own_frame(error)
    try:
        sys.excepthook(type(error), error, error.__traceback__)
    except SystemExit as end:
        return _exit_code(end.code)
    except BaseException as fault:
        _leave_out_own_frame(fault)
        print("Error in sys.excepthook:", file=sys.stderr)
        fault.__context__ = None
        sys.__excepthook__(type(fault), fault, fault.__traceback__)
        print("\nOriginal exception was:", file=sys.stderr)
        sys.__excepthook__(type(error), error, error.__traceback__)
    return 1


def _leave_out_own_frame(error: BaseException) -> None:
    if error.__traceback__ is not None:
        error.__traceback__ = error.__traceback__.tb_next


def _end_by_interrupt() -> NoReturn:
    """End as an interpreter does after an interrupt: by the same signal."""
    import atexit
    import threading

    with suppress(BaseException):
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
    with suppress(BaseException):
        sys.stdout.flush()
        sys.stderr.flush()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGINT)
    os._exit(INTERRUPTED)
