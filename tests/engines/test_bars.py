"""Parsing tqdm's bars: those of real harnesses, generated ones, and malicious text."""

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from evalserver.engines.bars import Bar, find_bars

DRAWN = {
    "Model Responding:  33%|███▎      | 21/64 [00:01<00:02, 20.15it/s, tokens=1,071]": Bar(
        "Model Responding", 21, 64, 20.15, 2.0
    ),
    "Requesting API: 100%|██████████| 20/20 [00:00<00:00, 49.84it/s]": Bar(
        "Requesting API", 20, 20, 49.84, 0.0
    ),
    "  0%|          | 0/640 [00:00<?, ?it/s]": Bar("", 0, 640),
    "Model Responding:  12%|█▎        | 8/64 [00:08<00:56,  1.25s/it, tokens=408]": Bar(
        "Model Responding", 8, 64, 0.8, 56.0
    ),
    "Generating test split: 64 examples [00:00, 3250.14 examples/s]": Bar(
        "Generating test split", 64, None, 3250.14
    ),
    "5it [00:02,  2.50it/s]": Bar("", 5, None, 2.5),
    "model.safetensors:  23%|██▎       | 1.15G/5.00G [00:10<01:02:03, 115MB/s]": Bar(
        "model.safetensors", 1_150_000_000, 5_000_000_000, 115e6, 3723.0
    ),
    "Processed prompts:  50%|#####     | 1/2 [00:01<00:01,  1.00it/s, est. speed: 9 toks/s]": Bar(
        "Processed prompts", 1, 2, 1.0, 1.0
    ),
    "[train] epoch 1: loss:  50%|\x1b[31m█████\x1b[0m     | 1/2 [00:01<00:01,  1.00it/s]": Bar(
        "[train] epoch 1: loss", 1, 2, 1.0, 1.0
    ),
    "100%|| 1,000/1,000 [123:45:06<00:00, 2.00kit/s]": Bar("", 1000, 1000, 2000.0, 0.0),
    "Loading safetensors checkpoint shards:  25% Completed | 1/4 [00:01<00:03,  1.25s/it]\n": Bar(
        "Loading safetensors checkpoint shards", 1, 4, 0.8, 3.0
    ),
    "(EngineCore_DP0 pid=4567) Loading pt checkpoint shards:   0% Completed"
    " | 0/2 [00:00<?, ?it/s]": (Bar("Loading pt checkpoint shards", 0, 2)),
    "(RayWorkerWrapper pid=71, ip=10.0.0.2) Multi-thread loading shards:  50% Completed"
    " | 1/2 [00:01<00:01,  1.00it/s]": Bar("Multi-thread loading shards", 1, 2, 1.0, 1.0),
    "Processed prompts:  33%|███▎      | 1/3 [00:01<00:02,  1.00it/s, est. speed input: 72 toks/s,"
    " output: 179.36 toks/s]": Bar("Processed prompts", 1, 3, 1.0, 2.0),
    "Capturing CUDA graphs (mixed prefill-decode, PIECEWISE):  50%|█████     "
    "| 1/2 [00:01<00:01,  1.00it/s]": Bar(
        "Capturing CUDA graphs (mixed prefill-decode, PIECEWISE)", 1, 2, 1.0, 1.0
    ),
    "Capturing batches (bs=4 avail_mem=5.31 GB):  50%|###  | 1/2 [00:01<00:01,  1.00it/s]": Bar(
        "Capturing batches (bs=4 avail_mem=5.31 GB)", 1, 2, 1.0, 1.0
    ),
    "Fetching 4 files:  25% 1/4 [00:00<00:03,  1.00it/s]": Bar("Fetching 4 files", 1, 4, 1.0, 3.0),
    " 25% 1/4 [00:00<00:03,  1.00it/s]": Bar("", 1, 4, 1.0, 3.0),
}


def bars(text: str) -> list[Bar]:
    """Return the bars in a text."""
    return [bar for _, bar in find_bars(text)]


@pytest.mark.parametrize(("drawn", "bar"), DRAWN.items(), ids=range(len(DRAWN)))
def test_a_bar_is_parsed(drawn: str, bar: Bar) -> None:
    assert bars(f"\r{drawn}") == [bar]


def test_every_state_of_a_bar_is_found_in_order() -> None:
    text = "".join(f"\rWork: {n:3}%|##   | {n}/100 [00:00<00:00, 1.00it/s]" for n in range(101))

    assert [bar.done for bar in bars(text)] == list(range(101))


def test_a_warning_after_a_bar_is_ignored() -> None:
    text = "\rRequesting API:   0%|          | 0/3 [00:00<?, ?it/s]2026-11-23 WARNING  [models] x\n"

    assert bars(text) == [Bar("Requesting API", 0, 3)]


def test_a_long_label_is_truncated() -> None:
    [bar] = bars("\r" + "long " * 50 + ": 50%|#####     | 1/2 [00:01<00:01,  1.00it/s]")

    assert (len(bar.label), bar.label[-1]) == (100, "…")


def test_a_label_has_no_control_characters() -> None:
    [bar] = bars("\r\x1b[1mbo\x07ld\x1b[0m: 50%|#####     | 1/2 [00:01<00:01,  1.00it/s]")

    assert bar.label == "bold"


INCOMPLETE_BARS = (
    "", "50%", "50%|#####     |", "50%|#####     | 1/2", "50%|#####     | 1/2 [00:01<00:01, 1.0",
    "|  Tasks   |Version|Filter|", "2026-11-23:15:13:55 INFO     [config:357] 20 tasks [a, b]",
    "1%|#| 99999999999999999999/1 [00:01<00:01, 1.00it/s]", "9Yit [00:01, 1.00it/s]",
    "25% Completed", "25% Completed | 1/4", "25% of 1/4 files are [here]",
    "1.2.3/4 [00:01<00:01, 1.00it/s]", "50%|#| 1.2.3/4 [00:01<00:01, 1.00it/s]",
)  # fmt: skip


@pytest.mark.parametrize("text", INCOMPLETE_BARS)
def test_an_incomplete_bar_is_ignored(text: str) -> None:
    assert bars(text) == []


@st.composite
def drawn_bars(draw: st.DrawFn) -> tuple[str, Bar]:
    """Generate a bar as tqdm draws it, and its values."""
    total = draw(st.integers(1, 10**9))
    done = draw(st.integers(0, total))
    rate = draw(st.none() | st.integers(1, 10**6))
    left = draw(st.none() | st.integers(0, 10**6))
    label = draw(st.text("aBc é日.-_[]()/=", max_size=90).map(str.strip))
    width = draw(st.integers(1, 90))
    postfix = draw(st.sampled_from(["", ", loss=0.5", ", a=1, b=[2]"]))
    cells = ("█" * (width * done // total)).ljust(width)
    percent = f"{100 * done / total:3.0f}%"
    text = (
        f"\r{label + ': ' if label else ''}{percent}|{cells}| {done}/{total} [00:01<{_clock(left)}"
    )
    speed = "?it/s" if rate is None else f"{rate:5.2f}it/s"
    bar = Bar(label, done, total, rate, left)
    return f"{text}, {speed}{postfix}]", bar


def _clock(seconds: int | None) -> str:
    if seconds is None:
        return "?"
    hours, rest = divmod(seconds, 3600)
    minutes = f"{rest // 60:02d}:{rest % 60:02d}"
    return f"{hours:d}:{minutes}" if hours else minutes


@given(st.lists(drawn_bars(), max_size=3))
def test_any_bar_of_tqdm_is_parsed(drawn: list[tuple[str, Bar]]) -> None:
    assert bars("".join(text for text, _ in drawn)) == [bar for _, bar in drawn]


PIECE = 64 * 1024
HOSTILE = (
    "x", "1", "1a", "1 a", "1,", "11111111111111111111k", "1%|", "1%|" + "x" * 297, "[", "[00:00",
    "0%||0/1 [00:00<0, 1]", "1i [00:00, 1]", "a: ", "\r", "\n", "\x1b[", "\x1b]", "0%||1/1 [", " ",
    "1% ", "1% a", "1% Completed | ", "1% Completed | 1/4 [", "(a pid=1) ", "(a pid=",
    "99999999999999999999", ":" * 80 + "0%||0/1 [00:00<0, 1]", "évalué 1%|é|",
)  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_malicious_text_is_parsed_in_linear_time(text: str) -> None:
    piece = text * (PIECE // len(text))

    began = time.process_time()
    found = len(bars(piece))
    seconds = time.process_time() - began

    assert found <= len(piece) / 10
    assert seconds < 10  # takes milliseconds; a backtracking expression would take minutes


@given(st.text(st.sampled_from("0159%|/[]<>,.:? kMGitsa\r\n█é\x1b"), max_size=300))
@example("0%||0/0 [00:00<0, 0s/it]")
def test_arbitrary_text_can_be_parsed(text: str) -> None:
    for bar in bars(text):
        assert bar.fraction is None or 0 <= bar.fraction <= 1
