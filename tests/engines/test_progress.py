"""Progress from a harness's output: real logs, parts, rounds and gaps."""

from dataclasses import asdict
from pathlib import Path

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from evalserver.engines import EngineSettings
from evalserver.engines.in_harness.lmms_eval_cache import _announce
from evalserver.engines.inspect_ai import InspectAi
from evalserver.engines.progress import Progress, TqdmReader

LOGS = Path(__file__).parent / "data" / "logs"


def bar(label: str, done: int, total: int) -> bytes:
    """Return a state of a bar as tqdm draws it."""
    state = f"{100 * done // total:3}%|####      | {done}/{total} [00:01<00:02, 20.00it/s]"
    return f"\r{label}: {state}".encode() if label else f"\r{state}".encode()


def part(first: int, last: int, of: int) -> bytes:
    """Return what the launcher prints before it requests a part of the answers."""
    return f"evalserver: asking for answers {first} to {last} of {of}\n".encode()


def read_all(*pieces: bytes) -> list[tuple[str, int | None, int | None]]:
    """Read the pieces; return stage, done and total after each."""
    reader = TqdmReader()
    found = [reader.read(piece) for piece in pieces]
    return [(progress.stage, progress.done, progress.total) for progress in found]


def stages(log: bytes) -> list[str]:
    """Return the stages of a log that is read byte by byte."""
    reader = TqdmReader()
    found = [reader.read(log[at : at + 1]).stage for at in range(len(log))]
    return list(dict.fromkeys(found))


STAGES = {
    "lmms_async": ["starting", "running", "Model Responding", "Postprocessing"],
    "lmms_llava": ["starting", "Loading weights", "running", "Model Responding", "Postprocessing"],
    "lm_chat": [
        "starting", "Initializing local-chat-completions model", "Building contexts for biology_qa",
        "Running generate_until requests", "Requesting API", "Saving results aggregated",
    ],
    "lm_dummy": [
        "starting", "Initializing dummy model",
        "Generating test split", "Generating test split (2)",
        "Building contexts for digits_text_mc", "Building contexts for biology_qa",
        "Running loglikelihood requests", "Running generate_until requests",
        "Saving results aggregated",
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", STAGES)
def test_the_stages_of_a_real_evaluation_have_the_harnesss_names(name: str) -> None:
    assert stages((LOGS / f"{name}.stderr").read_bytes()) == STAGES[name]


def test_progress_has_counts_rate_and_remaining_time() -> None:
    log = (LOGS / "lmms_sigterm.stderr").read_bytes()

    assert TqdmReader().read(log) == Progress(
        "Model Responding", 7 / 64, done=7, total=64, rate=1.2, eta_s=47.0
    )


def test_before_the_first_output_the_evaluation_is_starting() -> None:
    assert TqdmReader().read(b"") == Progress("starting")


def test_output_in_pieces_is_read_like_output_at_once() -> None:
    log = (LOGS / "lm_chat.stderr").read_bytes()
    for size in (1, 7, 100):
        reader = TqdmReader()
        pieces = [log[at : at + size] for at in range(0, len(log), size)]

        assert [reader.read(piece) for piece in pieces][-1] == TqdmReader().read(log)


def test_a_bar_without_a_label_belongs_to_the_announced_stage() -> None:
    announced = b"INFO Running loglikelihood requests\n"

    assert read_all(announced, bar("", 3, 640)) == [
        ("Running loglikelihood requests", None, None),
        ("Running loglikelihood requests", 3, 640),
    ]


def test_an_announcement_in_two_pieces_is_read_completely() -> None:
    pieces = (b"Building contexts for mm", b"e_bench on rank 0...\n")

    assert read_all(*pieces)[-1] == ("Building contexts for mme_bench", None, None)


def test_a_bar_that_restarts_is_a_further_round() -> None:
    work = [bar("Work", 0, 8), bar("Work", 8, 8), bar("Work", 0, 4), bar("Work", 4, 4)]

    assert read_all(*work, bar("Work", 0, 4)) == [
        ("Work", 0, 8),
        ("Work", 8, 8),
        ("Work (2)", 0, 4),
        ("Work (2)", 4, 4),
        ("Work (3)", 0, 4),
    ]


def test_a_further_round_can_be_detected_late() -> None:
    assert read_all(bar("Work", 8, 8), bar("Work", 3, 8))[-1] == ("Work (2)", 3, 8)


def test_the_bar_of_a_slower_process_is_ignored() -> None:
    ranks = [bar("Work", 5, 33), bar("Work", 4, 32), bar("Work", 6, 33), bar("Work", 6, 32)]

    assert read_all(*ranks) == [("Work", 5, 33), ("Work", 5, 33), ("Work", 6, 33), ("Work", 6, 32)]


def test_a_nested_bar_is_a_new_stage_each_time() -> None:
    outer = [bar("Outer", 1, 2), bar("Inner", 0, 9), bar("Inner", 9, 9), bar("Outer", 2, 2)]

    assert read_all(*outer, bar("Inner", 0, 9)) == [
        ("Outer", 1, 2),
        ("Inner", 0, 9),
        ("Inner", 9, 9),
        ("Outer", 2, 2),
        ("Inner (2)", 0, 9),
    ]


def test_the_bars_of_all_parts_are_combined_into_one() -> None:
    asking = [
        part(1, 16, 64), bar("Model Responding", 8, 16), bar("Model Responding", 16, 16),
        part(17, 48, 64), bar("Model Responding", 0, 32), bar("Model Responding", 32, 32),
        part(49, 64, 64), bar("Model Responding", 16, 16),
    ]  # fmt: skip

    assert read_all(*asking) == [
        ("Model Responding", done, 64) for done in (0, 8, 16, 16, 16, 48, 48, 64)
    ]


def test_a_bar_that_counts_batches_is_scaled_to_all_answers() -> None:
    asking = part(17, 48, 64) + bar("Model Responding", 2, 4)

    progress = TqdmReader().read(asking)

    assert (progress.done, progress.total, progress.rate, progress.eta_s) == (32, 64, 160.0, 0.2)


def test_a_part_keeps_the_rate_of_the_previous_part() -> None:
    asking = part(1, 32, 64) + bar("Model Responding", 32, 32) + part(33, 64, 64)

    progress = TqdmReader().read(asking)

    assert (progress.done, progress.rate, progress.eta_s) == (32, 20.0, 1.6)


def test_parts_of_a_second_kind_of_request_are_a_further_round() -> None:
    first = [part(1, 2, 2), bar("Model Responding", 2, 2)]

    assert read_all(*first, part(1, 4, 8))[-1] == ("Model Responding (2)", 0, 8)


def test_a_part_announced_after_a_bar_is_a_further_round() -> None:
    assert read_all(bar("Model Responding", 9, 10), part(33, 64, 99))[-1] == (
        "Model Responding (2)",
        32,
        99,
    )


def test_the_launchers_announcement_is_understood(capsys: pytest.CaptureFixture[str]) -> None:
    _announce(17, 48, 64)

    assert read_all(capsys.readouterr().out.encode()) == [("Model Responding", 16, 64)]


def test_after_a_gap_the_evaluation_is_running() -> None:
    assert TqdmReader().read(b"middle of a line\n", after_gap=True) == Progress("running")


def test_text_cut_off_by_a_gap_is_not_a_label() -> None:
    reader = TqdmReader()

    progress = reader.read(b"onding: 50%|#| 1/2 [00:01<00:01, 1.00it/s]\n", after_gap=True)

    assert progress == Progress("running")


def test_a_lower_bar_after_a_gap_is_a_further_round() -> None:
    reader = TqdmReader()
    reader.read(bar("Work", 5, 8))

    assert reader.read(bar("Work", 2, 8), after_gap=True).stage == "Work (2)"


PIECES = st.one_of(
    st.builds(
        bar, st.sampled_from(["", "A", "B", "Model Responding"]), st.integers(0, 9), st.just(9)
    ),
    st.builds(part, st.integers(1, 5), st.integers(5, 9), st.integers(9, 20)),
    st.sampled_from([b"\n", b"Running x requests\n", b"\r", b"noise "]),
    st.binary(max_size=9),
)


@given(st.lists(st.tuples(PIECES, st.booleans()), max_size=30))
def test_progress_never_decreases_within_a_stage(pieces: list[tuple[bytes, bool]]) -> None:
    reader = TqdmReader()
    before = Progress("starting")
    for piece, gap in pieces:
        now = reader.read(piece, after_gap=gap)
        if now.stage == before.stage and before.fraction is not None:
            assert (now.fraction or 0) >= before.fraction
        before = now


@given(st.text(st.sampled_from("0159%|/[]<>,.:? kMGYitsa\r\n█é\x1b"), max_size=300))
@example("\r0%|| 0/99999999999999999Y [00:00<00:00, 0.1s/it]\r")
@example("\r0%|| 0/9 [00:00<00:00, 99999999999999999999999999999999999Yit/s]\r")
def test_progress_from_any_output_can_be_serialized(text: str) -> None:
    progress = TqdmReader().read(text.encode())

    assert orjson.loads(orjson.dumps(progress)) == asdict(progress)


def test_endless_labels_take_no_memory() -> None:
    reader = TqdmReader()
    for number in range(1000):
        reader.read(bar(f"video {number}", 1, 2) + b"x" * 5000)

    assert len(reader._rounds) <= 64
    assert len(reader._rest) <= 1024


_SETTINGS = EngineSettings("inspect", "inspect", "python3")


def test_the_steps_of_inspect_are_read_from_its_output() -> None:
    reader = InspectAi(_SETTINGS).progress_reader()

    progress = reader.read(b"capitals | generate | Steps:  2/20 10% | Samples:  2/ 20\n")

    assert (progress.stage, progress.done, progress.total) == ("capitals", 2, 20)


def test_a_model_that_inspect_loads_has_the_progress_of_its_bar() -> None:
    reader = InspectAi(_SETTINGS).progress_reader()

    progress = reader.read(
        b"(EngineCore_DP0 pid=9) Loading safetensors checkpoint shards:  25% Completed"
        b" | 1/4 [00:01<00:03,  1.25s/it]\n"
    )

    assert (progress.stage, progress.done) == ("Loading safetensors checkpoint shards", 1)


def test_a_bar_after_inspects_first_step_is_ignored() -> None:
    reader = InspectAi(_SETTINGS).progress_reader()
    reader.read(b"capitals | generate | Steps:  2/20 10% | Samples:  2/ 20\n")

    progress = reader.read(b"Batches:  50%|#####     | 1/2 [00:01<00:01,  1.00it/s]\n")

    assert (progress.stage, progress.done) == ("capitals", 2)
