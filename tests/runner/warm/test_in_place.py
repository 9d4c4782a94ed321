"""A script in a forked process finds everything as it would in a new interpreter."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.runner.warm.driver import WarmParent
from tests.runner.warm.harness import Ended, TinyHarness

LOOKS = {
    "arguments": "[sys.argv, getattr(sys, 'orig_argv', None)]",
    "where modules are found": "sys.path",
    "the working directory": "[os.getcwd(), os.stat('.').st_ino]",
    "the environment": "dict(os.environ)",
    "the environment of libraries in C": "{name: c_value(name) for name in os.environ}",
    "what others see of its environment":
        "sorted(filter(None, open('/proc/self/environ').read().split(chr(0))))",
    "what others see of its arguments":
        "open('/proc/self/cmdline').read().rstrip(chr(0)).split(chr(0))",
    "its name": "open('/proc/self/comm').read()",
    "descriptors": "{fd: os.readlink(f'/proc/self/fd/{fd}').split(':')[0] for fd in open_fds()}",
    "signal handlers": "[str(signal.getsignal(each)) for each in signal.valid_signals()]",
    "blocked signals": "sorted(signal.pthread_sigmask(signal.SIG_BLOCK, []))",
    "umask": "os.umask(0)",
    "session": "[os.getsid(0) == os.getppid(), os.getpgid(0) == os.getppid()]",
    "cgroups": "[line.rpartition('/')[2].rpartition('-')[0]"
        " for line in open('/proc/self/cgroup').read().split()]",
    "niceness": "os.nice(0)",
    "limits": "[resource.getrlimit(each) for each in range(16)]",
    "streams": "[look_at(each) for each in (sys.stdin, sys.stdout, sys.stderr)]",
    "first streams": "[sys.stdin is sys.__stdin__, sys.stdout is sys.__stdout__]",
    "locale": "[locale.setlocale(each) for each in (locale.LC_CTYPE, locale.LC_NUMERIC)]",
    "encodings": "[sys.getfilesystemencoding(), locale.getpreferredencoding()]",
    "its main module": "{name: repr(each) for name, each in before.items()}",
    "main threads": "[threading.current_thread() is threading.main_thread(),"
        " threading.active_count(), len(os.listdir('/proc/self/task'))]",
    "flags": "list(sys.flags)",
    "warnings": "[str(each) for each in warnings.filters]",
    "modules of the server": "sorted(each for each in sys.modules if 'evalserver' in each)",
    "garbage collection": "[gc.isenabled(), gc.get_threshold()]",
    "what ends it with its runner": "death_signal()",
    "hooks": "[sys.excepthook is sys.__excepthook__, sys.gettrace(), sys.getprofile()]",
    "temporary files": "tempfile.gettempdir()",
    "cpu time": "time.process_time() < 10",
}  # fmt: skip
"""What a script looks at, by what that is."""

SCRIPT = f"""
before = dict(globals())
import ctypes, gc, json, locale, os, resource, signal, sys, tempfile, threading, time, warnings
libc = ctypes.CDLL(None)
libc.getenv.restype = ctypes.c_char_p

def c_value(name):
    return libc.getenv(name.encode()).decode()

def open_fds():
    listing = os.open('/proc/self/fd', os.O_RDONLY)
    found = [each for each in os.listdir(listing) if int(each) != listing]
    os.close(listing)
    return [each for each in found if os.path.exists(f'/proc/self/fd/{{each}}')]

def look_at(stream):
    kinds = type(stream.buffer).__name__, type(getattr(stream.buffer, 'raw', None)).__name__
    return [stream.name, stream.mode, stream.encoding, stream.errors, stream.line_buffering,
            stream.write_through, stream.isatty(), stream.seekable(), stream.fileno(),
            stream.newlines, kinds]

def death_signal():
    signum = ctypes.c_int()
    libc.prctl(2, ctypes.byref(signum), 0, 0, 0)
    return signum.value

looks = {LOOKS!r}
print(json.dumps({{name: eval(code) for name, code in looks.items()}}, default=str))
"""

ENDINGS = {
    "at its end": "print('done')",
    "with a code": "import sys; sys.exit(3)",
    "with a negative code": "import sys; sys.exit(-1)",
    "with None": "import sys; sys.exit(None)",
    "with a text": "import sys; sys.exit('it is over')",
    "with an object": "raise SystemExit(('two', 'values'))",
    "with an exception": "def f():\n    raise ValueError('odd')\nf()",
    "with a chained exception":
        "try:\n    1 / 0\nexcept Exception as e:\n    raise KeyError from e",
    "with a syntax error": "print('never'\n",
    "with an interrupt": "raise KeyboardInterrupt",
    "by a signal": "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
    "at once": "import os; os._exit(4)",
    "in a hook for exceptions":
        "import sys\ndef hook(*_): print('hooked'); sys.exit(9)\nsys.excepthook = hook\n1 / 0",
    "with a broken hook for exceptions":
        "import sys\ndef hook(*_): raise OSError('no')\nsys.excepthook = hook\n1 / 0",
    "with what is to be done at the end":
        "import atexit; atexit.register(print, 'last'); import sys; sys.exit(5)",
    "with a thread that is not over":
        "import threading, time\n"
        "def work(): time.sleep(0.3); print('worked')\n"
        "threading.Thread(target=work).start()",
    "with a file that is still open":
        "f = open('left', 'w'); f.write('text'); import atexit\n"
        "class Late:\n    def __del__(self): print('destroyed')\nlate = Late()",
    "with output that was not flushed": "import sys; sys.stdout.write('no line'); sys.exit(2)",
    "with an object in a cycle":
        "class Late:\n    def __del__(self): print('destroyed')\n"
        "late = Late(); late.itself = late; late.more = [Late()]",
    "with a generator that is not over":
        "def steps():\n    try: yield 1\n    finally: print('closed')\nit = steps(); next(it)",
    "with a file behind a buffer in a cycle":
        "import io\n"
        "class Raw(io.RawIOBase):\n"
        "    def writable(self): return True\n"
        "    def write(self, piece): print('wrote', bytes(piece)); return len(piece)\n"
        "it = io.BufferedWriter(Raw()); it.write(b'all of it')",
    "with a thread in the background":
        "import threading, time\n"
        "threading.Thread(target=time.sleep, args=(100,), daemon=True).start(); print('on')",
    "with a process in the background":
        "import subprocess; child = subprocess.Popen(['sleep', '0.1']); print('on')",
    "with output of C":
        "import ctypes; ctypes.CDLL(None).printf(b'from C')",
    "with a closed stream": "import sys; sys.stdout.close()",
    "with a stream that cannot be written": "import os, sys; print('x'); os.close(1); os.close(2)",
    "with a child that goes on":
        "import os\nif os.fork() == 0:\n    print('child'); raise SystemExit(1)\n"
        "os.wait(); print('parent')",
    "with processes of its own":
        "import multiprocessing as m\n"
        "def double(x): return 2 * x\n"
        "if __name__ == '__main__':\n"
        "    for kind in ('fork', 'spawn'):\n"
        "        with m.get_context(kind).Pool(1) as pool: print(pool.map(double, [1, 2]))",
}  # fmt: skip
"""How scripts end, by what that is."""


def _both(tiny: TinyHarness, parent: WarmParent, program: str, *arguments: str) -> list[Ended]:
    return [
        tiny.run_cold(tiny.prepare(program, *arguments)),
        tiny.run_warm(parent, tiny.prepare(program, *arguments)),
    ]


def _without_addresses(text: str) -> str:
    return re.sub("0x[0-9a-f]{6,}", "0x", text)


def _seen(end: Ended, run: str) -> dict[str, Any]:
    assert end.code == 0, end.log
    found: dict[str, Any] = json.loads(_without_addresses(end.log).replace(run, "run"))
    return found


@pytest.fixture(scope="module")
def seen(shared_tiny: TinyHarness, shared_parent: WarmParent) -> list[dict[str, Any]]:
    """What the same script sees in a new interpreter, and in a forked process."""
    ends = _both(shared_tiny, shared_parent, SCRIPT, "--an=argument", "another one")
    numbers = ("run-1", "run-2")
    return [_seen(end, run) for end, run in zip(ends, numbers, strict=True)]


@pytest.mark.parametrize("what", LOOKS)
def test_a_forked_script_finds_what_a_new_one_does(what: str, seen: list[dict[str, Any]]) -> None:
    cold, warm = seen

    assert warm[what] == cold[what]


@pytest.mark.parametrize("how", ENDINGS)
def test_a_forked_script_ends_as_a_new_one_does(
    how: str, shared_tiny: TinyHarness, shared_parent: WarmParent
) -> None:
    cold, warm = _both(shared_tiny, shared_parent, ENDINGS[how])

    ends = [
        (_without_addresses(each.log), each.code, each.exit["reason"], each.runner_log)
        for each in (cold, warm)
    ]
    assert ends[0] == ends[1]


def test_a_fault_in_a_destructor_is_reported_as_by_a_new_one(
    shared_tiny: TinyHarness, shared_parent: WarmParent
) -> None:
    program = "class Late:\n    def __del__(self): raise ValueError('late')\nlate = Late()"

    cold, warm = _both(shared_tiny, shared_parent, program)

    # A new interpreter cannot read the source any more when it is about to end.
    source = re.compile("^    .*\n", re.MULTILINE)
    assert source.sub("", _without_addresses(warm.log)) == _without_addresses(cold.log)


LEFT: dict[str, tuple[str, bool]] = {
    "nothing": ("None", False),
    "what an event loop has": ("select.epoll(), socket.socketpair()", False),
    "a file": ("open('left')", True),
    "a connection": ("socket.create_connection(listener.getsockname())", True),
    "a named socket": ("named('left.socket')", True),
    "a pipe": ("os.pipe()", True),
    "a thread": ("threading.Thread(target=time.sleep, args=(100,), daemon=True).start()", True),
    "a library": ("__import__('_zoneinfo')", True),
    "a process": ("subprocess.Popen(['sleep', '0.1'])", True),
}
"""What a script may leave at its end, and whether all objects have to be destroyed then."""

LEAVES = """
import os, select, socket, subprocess, threading, time, weakref
class Kept: pass
kept = Kept()
write = os.write
gone = weakref.ref(kept, lambda _: write(1, b"destroyed"))
def named(path):
    found = socket.socket(socket.AF_UNIX)
    found.bind(path)
    os.unlink(path)
    return found
{listener}
left = {left}
"""


@pytest.mark.parametrize("what", LEFT)
def test_objects_are_destroyed_only_where_that_may_have_an_effect(
    what: str, shared_tiny: TinyHarness, shared_parent: WarmParent
) -> None:
    """It takes long with the objects of a whole harness. A weak reference notices that its object
    is destroyed, not that it is finalized."""
    left, is_destroyed = LEFT[what]
    listener = "listener = socket.create_server(('127.0.0.1', 0))" if "listener" in left else ""
    (shared_tiny.cwd / "left").touch()
    program = LEAVES.format(left=left, listener=listener)

    end = shared_tiny.run_warm(shared_parent, shared_tiny.prepare(program))

    assert end.log == ("destroyed" if is_destroyed else "")


def test_random_numbers_differ_between_two_forks(
    shared_tiny: TinyHarness, shared_parent: WarmParent
) -> None:
    program = "import random, uuid, tempfile; print(random.random(), tempfile.mktemp())"
    runs = [shared_tiny.prepare(program) for _ in range(2)]

    first, second = (shared_tiny.run_warm(shared_parent, run) for run in runs)

    assert not set(first.log.split()) & set(second.log.split())


GENERATORS = """
import random
FREE, SEEDED = random.Random(), random.Random(7)
random.seed(7)
"""


def test_random_numbers_are_as_the_imports_have_seeded_them(tiny: TinyHarness) -> None:
    (tiny.package / "numbers.py").write_text(GENERATORS)
    program = "import random, tiny.numbers as n; print(random.random(), n.SEEDED.random())"
    with tiny.parent() as parent:
        assert parent.ready()["ready"]

        cold, warm = _both(tiny, parent, program)

    assert warm.log == cold.log


def test_a_generator_that_was_not_seeded_has_other_numbers_in_each_fork(tiny: TinyHarness) -> None:
    (tiny.package / "numbers.py").write_text(GENERATORS)
    program = "import tiny.numbers; print(tiny.numbers.FREE.random())"
    with tiny.parent() as parent:
        assert parent.ready()["ready"]

        first, second = (tiny.run_warm(parent, tiny.prepare(program)) for _ in range(2))

    assert first.log != second.log


def test_modules_of_the_preload_program_hide_none_of_the_harness(tiny: TinyHarness) -> None:
    (tiny.place / "helper.py").write_text("WHOSE = 'ours'\n")
    (tiny.packages / "helper.py").write_text("WHOSE = 'theirs'\n")
    tiny.preload.write_text(
        tiny.preload.read_text().replace("sys.path[0]", "import helper; sys.path[0]")
    )
    with tiny.parent() as parent:
        assert parent.ready()["ready"]

        end = tiny.run_warm(parent, tiny.prepare("import helper; print(helper.WHOSE)"))

    assert end.log == "theirs\n"


def test_what_was_imported_ahead_is_not_imported_again(
    shared_tiny: TinyHarness, shared_parent: WarmParent
) -> None:
    program = "import sys; print('tiny.numbers' in sys.modules)"

    end = shared_tiny.run_warm(shared_parent, shared_tiny.prepare(program))

    assert end.log == "True\n"


def test_a_file_that_a_script_left_open_is_complete(
    shared_tiny: TinyHarness, shared_parent: WarmParent
) -> None:
    program = "file = open('left-open', 'w'); file.write('all of it')"

    shared_tiny.run_warm(shared_parent, shared_tiny.prepare(program))

    assert Path(shared_tiny.cwd, "left-open").read_text() == "all of it"
