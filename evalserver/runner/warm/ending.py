"""The end of a harness that was forked.

An interpreter destroys all objects at its end, and libraries in C what they have. In a forked
process that copies nearly every page that it shares with its parent, which takes longer than many a
small evaluation. It is left out where it could have no effect outside of the process, and only
there.
"""

from __future__ import annotations

import ctypes
import gc
import io
import os
import socket
import struct
import sys
from pathlib import Path
from typing import Any, NoReturn

from evalserver.runner.warm.descriptors import open_descriptors

INNER_DESCRIPTORS = ("anon_inode:[eventpoll]", "anon_inode:[eventfd]")
CREDENTIALS = "3i"
"""Pid, user and group of the process at the other end of a socket."""


def libraries() -> frozenset[str]:
    """Return the files whose code is mapped into this process. Raises OSError."""
    lines = Path("/proc/self/maps").read_text("utf-8", "surrogateescape").splitlines()
    return frozenset(
        line[line.index("/") :] for line in lines if "/" in line and "x" in line.split(None, 2)[1]
    )


def end_process(code: int, known: frozenset[str]) -> NoReturn:
    """End the process as an interpreter would, whose program has ended with this exit code.

    ``known`` are the libraries that it had when it was forked.
    """
    try:
        _join_threads_and_run_exit_functions()
        if _has_nothing_outside(known) and _finalize_objects():
            sys.stdout.flush()
            sys.stderr.flush()
            ctypes.CDLL(None).fflush(None)
            os._exit(code)
    finally:
        # Does all of it that is not done yet, and says what it does not like.
        ctypes.pythonapi.Py_Exit(ctypes.c_int(code))
        os._exit(code)


def _join_threads_and_run_exit_functions() -> None:
    """Do what an interpreter does first at its end; it does not do it again."""
    import atexit

    threading: Any = sys.modules.get("threading")
    if threading is not None:
        threading._shutdown()
    atexit._run_exitfuncs()


def _has_nothing_outside(known: frozenset[str]) -> bool:
    """Return whether the process has nothing that its end could affect: no thread or process of its
    own, no open file, connection or device, no library that it has loaded itself."""
    return (
        _count("/proc/self/task") == 1
        and not _has_children()
        and not any(map(_leads_outside, open_descriptors()))
        and libraries() <= known
    )


def _finalize_objects() -> bool:
    """Call the finalizers of all objects that were made since the fork, as the garbage collector
    would; return whether that is enough.

    It is not if a buffer may have to be written before what it is written to is closed.
    """
    found = [each for each in gc.get_objects() if hasattr(type(each), "__del__")]
    if any(isinstance(each, io.IOBase) and not each.closed for each in found):
        return False
    finalize = ctypes.pythonapi.PyObject_CallFinalizer
    finalize.restype = None
    for each in found:
        finalize(ctypes.py_object(each))
    return True


def _leads_outside(descriptor: int) -> bool:
    """Return whether something outside of the process may be behind a descriptor: not behind those
    that an event loop has for itself."""
    try:
        target = os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115 - it may be no path
    except OSError:
        return True
    if target.startswith("socket:"):
        return not _is_own_pair(descriptor)
    return target not in INNER_DESCRIPTORS


def _is_own_pair(descriptor: int) -> bool:
    """Return whether it is an end of a pair of sockets that this process has made."""
    with socket.socket(fileno=os.dup(descriptor)) as end:
        if end.family != socket.AF_UNIX or end.getsockname() or end.type != socket.SOCK_STREAM:
            return False
        size = struct.calcsize(CREDENTIALS)
        peer = end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
        return bool(struct.unpack(CREDENTIALS, peer)[0] == os.getpid()) and not end.getpeername()


def _has_children() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _count(folder: str) -> int:
    return len(os.listdir(folder))  # noqa: PTH208 - as above
