"""``python -m lmms_eval``: accepts lmms-eval's flags, and behaves as ``model_args`` says."""

import argparse
import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import yaml

from lmms_eval import utils

SEVEN = (
    "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAAIUlEQVR42mP4DwUM/+XAAMgAARgDSIMZIBrE"
    "ANMoDAgAALAKMbF3wW8gAAAAAElFTkSuQmCC"
)
"""An image of a 7, as base64 of a PNG file."""

LONG_TEXT_MEGABYTES = 100


def main() -> None:
    """Run one simulated evaluation."""
    given = _arguments()
    args = _model_args(given.model_args)
    journal = Path(args.get("journal", os.devnull))
    name = args.get("name", given.model)
    slots = _take_slots(args["slot"], journal) if "slot" in args else []
    _note(journal, f"start {name}")
    if args.get("behave") != "silent":
        print(f"stand-in runs as {name}")
    time.sleep(float(args.get("seconds", 0)))
    while "until" in args and not Path(args["until"]).exists():
        time.sleep(0.02)
    BEHAVIOURS[args.get("behave", "complete")](given, args)
    _note(journal, f"end {name}")
    for slot in slots:
        os.close(slot)


def _take_slots(path: str, journal: Path) -> list[int]:
    """Hold a lock for each visible GPU until exit, and record whether one was held: the kernel
    detects overlaps. Without managed GPUs there is one lock for all."""
    gpus = os.environ.get("CUDA_VISIBLE_DEVICES", "all").split(",")
    descriptors, state = [], "free"
    for gpu in gpus:
        descriptors.append(os.open(f"{path}-{gpu}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC))
        try:
            fcntl.lockf(descriptors[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            state = "TAKEN"
    _note(journal, f"slot {os.environ['EVALSERVER_ATTEMPT']} {state} {','.join(gpus)}")
    return descriptors


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    for flag in ("model", "model_args", "tasks", "output_path", "config", "gen_kwargs"):
        parser.add_argument(f"--{flag}", default="")
    parser.add_argument("--log_samples", action="store_true")
    given, _ = parser.parse_known_args()
    if given.config:
        for key, value in yaml.safe_load(Path(given.config).read_text()).items():
            setattr(given, key, value)
    return given


def _model_args(text: str) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in text.split(",") if pair)
    return {key: str(utils.handle_arg_string(value)) for key, _, value in pairs}


def _note(journal: Path, line: str) -> None:
    with journal.open("a") as file:
        file.write(f"{line}\n")


def _complete(given: argparse.Namespace, args: dict[str, str]) -> None:
    tasks = given.tasks.split(",")
    value = float(args.get("value", 0.5))
    numbers = {"acc,none": value, "acc_stderr,none": 0.01, "alias": "x"}
    _write_results(given, {task: numbers for task in tasks})


def _environment(given: argparse.Namespace, args: dict[str, str]) -> None:
    lines = "".join(f"{name}={os.environ.get(name)}\n" for name in args["show"].split("/"))
    print(lines, end="", flush=True)
    Path(given.output_path, "environment.txt").write_text(lines)
    _complete(given, args)


def _judge(given: argparse.Namespace, args: dict[str, str]) -> None:
    results = {"acc,strict": 0.5, "acc,loose": 0.5, "f1,strict": 0.5, "loss,strict": 1.0}
    thoughts = "Let me think. " * int(args.get("thoughts", 0))
    samples = [
        {
            **{"doc_id": doc, "filter": name, "acc": float(doc % 2), "f1": 0.5, "loss": 1.0},
            **{"target": "yes", "filtered_resps": [thoughts + ("yes" if doc % 2 else "no")]},
        }
        for name in ("strict", "loose")
        for doc in range(int(args.get("documents", 4)))
    ]
    _write_results(given, {task: results for task in given.tasks.split(",")}, samples)


def _scores(given: argparse.Namespace, args: dict[str, str]) -> None:
    scores = [float(score) for score in args["scores"].split("/")]
    mean = sum(scores) / len(scores)
    spread = sum((score - mean) ** 2 for score in scores)
    numbers = {"acc,none": mean, "acc_stderr,none": (spread / len(scores) ** 2) ** 0.5}
    samples = [
        {
            "doc_id": doc,
            "doc_hash": f"hash of {doc}",
            "input": f"Which digit is in image {doc}?",
            "image": f"data:image/png;base64,{SEVEN}",
            "target": "7",
            "filtered_resps": "7" if score else "1",
            "acc": score,
        }
        for doc, score in enumerate(scores)
    ]
    _write_results(given, {task: dict(numbers) for task in given.tasks.split(",")}, samples)


def _write_results(
    given: argparse.Namespace,
    results: dict[str, dict[str, object]],
    samples: Sequence[dict[str, object]] = tuple({"doc_id": doc} for doc in range(4)),
) -> None:
    folder = Path(given.output_path) / given.model
    folder.mkdir(parents=True)
    documents = len({sample["doc_id"] for sample in samples})
    content = {
        "results": results,
        "n-samples": {task: {"original": 8, "effective": documents} for task in results},
        "higher_is_better": {task: {"acc": True, "f1": True, "loss": False} for task in results},
        "model_source": given.model,
        "config": {"model_args": _model_args(given.model_args)},
    }
    (folder / "20260101_000000_results.json").write_text(json.dumps(content))
    written = int(_model_args(given.model_args).get("written", len(samples)))
    lines = "".join(f"{json.dumps(sample)}\n" for sample in samples[:written])
    for task in results if given.log_samples else ():
        (folder / f"20260101_000000_samples_{task}.jsonl").write_text(lines)


def _crash(given: argparse.Namespace, args: dict[str, str]) -> None:
    raise RuntimeError(
        "the stand-in was told to crash" + " and to say so" * int(args.get("times", 0))
    )


def _exit(given: argparse.Namespace, args: dict[str, str]) -> None:
    sys.exit(int(args["code"]))


def _hang(given: argparse.Namespace, args: dict[str, str]) -> None:
    time.sleep(10_000)


def _eat_memory(given: argparse.Namespace, args: dict[str, str]) -> None:
    blocks = []
    while True:
        blocks.append(bytearray(b"x") * (1 << 22))


def _complete_and_hang(given: argparse.Namespace, args: dict[str, str]) -> None:
    _complete(given, args)
    _hang(given, args)


def _hang_once(given: argparse.Namespace, args: dict[str, str]) -> None:
    if os.environ["EVALSERVER_ATTEMPT"].endswith("/1"):
        _hang(given, args)
    _complete(given, args)


def _stubborn(given: argparse.Namespace, args: dict[str, str]) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("ignores TERM now")
    _hang(given, args)


def _hide(given: argparse.Namespace, args: dict[str, str]) -> None:
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            Path(args["pid_file"]).write_text(str(os.getpid()))
            _hang(given, args)
        os._exit(0)
    _hang(given, args)


def _escape_once(given: argparse.Namespace, args: dict[str, str]) -> None:
    pid_file = Path(args["pid_file"])
    if os.environ["EVALSERVER_ATTEMPT"].endswith("/1"):
        if os.fork() == 0:
            os.setsid()
            if os.fork() > 0:
                os._exit(0)
            nothing = os.open(os.devnull, os.O_RDWR)
            for descriptor in range(3):
                os.dup2(nothing, descriptor)
            pid_file.write_text(str(os.getpid()))
            sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
            os.execve(sys.executable, sleep, {})  # noqa: S606 - without an environment
        _hang(given, args)
    stat = Path(f"/proc/{pid_file.read_text()}/stat")
    alive = stat.exists() and stat.read_text().rpartition(")")[2].split()[0] not in "ZX"
    _note(Path(args["journal"]), f"escaped worker is {'alive' if alive else 'gone'}")
    _complete(given, args)


def _flood(given: argparse.Namespace, args: dict[str, str]) -> None:
    megabyte = ("x" * 127 + "\n") * 8192
    for _ in range(int(args.get("megabytes", 100))):
        sys.stdout.write(megabyte)
    _complete(given, args)


def _count(given: argparse.Namespace, args: dict[str, str]) -> None:
    for number in range(int(args["lines"])):
        print(f"line {number}", flush=True)
        time.sleep(float(args.get("pause", 0)))
    _complete(given, args)


def _bars(given: argparse.Namespace, args: dict[str, str]) -> None:
    total = int(args.get("total", 8))
    for done in range(total + 1):
        _draw("Model Responding", done, total)
        time.sleep(float(args.get("pause", 0)))
        while 2 * done == total and "gate" in args and not Path(args["gate"]).exists():
            time.sleep(0.02)
    print(file=sys.stderr)
    _complete(given, args)


def _draw(label: str, done: int, total: int) -> None:
    filled = 8 * done // total
    bar = "█" * filled + " " * (8 - filled)
    state = f"{label}: {done / total:4.0%}|{bar}| {done}/{total} [00:0{done}<00:0{total - done}"
    print(f"\r{state},  1.00it/s]", end="", file=sys.stderr)


def _no_newline(given: argparse.Namespace, args: dict[str, str]) -> None:
    for _ in range(int(args.get("megabytes", 1))):
        sys.stdout.write("x" * 2**20)
    _complete(given, args)


def _no_results(given: argparse.Namespace, args: dict[str, str]) -> None:
    print("ERROR the stand-in met an internal error, and exits 0 all the same")


def _no_numbers(given: argparse.Namespace, args: dict[str, str]) -> None:
    _write_results(given, {"mme": {"alias": "mme", "acc,none": "N/A"}})


def _report(given: argparse.Namespace, args: dict[str, str]) -> None:
    _write_results(given, json.loads(args["results"]))
    if args.get("file"):
        file = Path(given.output_path, args["file"])
        file.parent.mkdir(parents=True)
        file.write_text("[]")


def _die(given: argparse.Namespace, args: dict[str, str]) -> None:
    _complete(given, args)
    os.kill(os.getpid(), int(args["signal"]))


def _linger(given: argparse.Namespace, args: dict[str, str]) -> None:
    _complete(given, args)
    _hang(given, args)


def _leave(given: argparse.Namespace, args: dict[str, str]) -> None:
    _complete(given, args)
    folder = Path(given.output_path) / given.model
    run_dir = Path(given.output_path).parent
    LEFT[args["what"]](folder / "20260101_000000_results.json", run_dir)
    sys.exit(int(args.get("code", 0)))


def _leave_fifo(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def _leave_long_text(path: Path, begin: str, end: str) -> None:
    with path.open("w") as file:
        file.write(begin)
        for _ in range(LONG_TEXT_MEGABYTES):
            file.write("x" * 2**20)
        file.write(end)


def _leave_link(path: Path, target: str) -> None:
    path.unlink()
    path.symlink_to(target)


LEFT: dict[str, Callable[[Path, Path], object]] = {
    "none": lambda results, run_dir: None,
    "fifo as results": lambda results, run_dir: _leave_fifo(results),
    "fifo as samples": lambda results, run_dir: _leave_fifo(
        results.with_name("20260101_000000_samples_mme.jsonl")
    ),
    "zeros as results": lambda results, run_dir: _leave_link(results, "/dev/zero"),
    "nested results": lambda results, run_dir: results.write_text("[" * 20_000),
    "huge results": lambda results, run_dir: os.truncate(results, 2**40),
    "huge samples": lambda results, run_dir: os.truncate(
        results.with_name("20260101_000000_samples_mme.jsonl"), 2**40
    ),
    "long sample": lambda results, run_dir: _leave_long_text(
        results.with_name("20260101_000000_samples_mme.jsonl"),
        '{"doc_id": 0, "acc": 1.0, "resps": "',
        '"}\n',
    ),
    "long results": lambda results, run_dir: _leave_long_text(
        results, '{"results": {"mme": {"acc,none": 0.5}}, "x": "', '"}'
    ),
    "long number": lambda results, run_dir: results.write_text(
        '{"results": {"mme": {"acc,none": ' + "1" * 400 + "}}}"
    ),
    "link as log": lambda results, run_dir: _leave_link(run_dir / "eval.log", "/etc/passwd"),
    "fifo as draft of exit": lambda results, run_dir: _leave_fifo(run_dir / "exit.json.draft"),
    "fifo as exit": lambda results, run_dir: _leave_fifo(run_dir / "exit.json"),
    "folder as exit": lambda results, run_dir: (run_dir / "exit.json" / "x").mkdir(parents=True),
    "fifo as job": lambda results, run_dir: _leave_fifo(run_dir / "job.json"),
    "fifo as runner": lambda results, run_dir: _leave_fifo(run_dir / "runner.json"),
}
"""Objects to put in place of the server's and the runner's files, by name."""


BEHAVIOURS = {
    "leave": _leave,
    "complete": _complete,
    "environment": _environment,
    "judge": _judge,
    "scores": _scores,
    "silent": _complete,
    "crash": _crash,
    "exit": _exit,
    "hang": _hang,
    "hang_once": _hang_once,
    "eat_memory": _eat_memory,
    "complete_and_hang": _complete_and_hang,
    "stubborn": _stubborn,
    "hide": _hide,
    "escape_once": _escape_once,
    "flood": _flood,
    "count": _count,
    "bars": _bars,
    "no_newline": _no_newline,
    "no_results": _no_results,
    "no_numbers": _no_numbers,
    "report": _report,
    "die": _die,
    "linger": _linger,
}

if __name__ == "__main__":
    main()
