"""Reading what Slurm's programs print."""

from datetime import UTC, datetime

import pytest

from evalserver.executors.slurm.answers import (
    SlurmState,
    UnreadableAnswer,
    parse_jobs,
    parse_nodes,
    parse_records,
)

NOON = "2026-11-28T12:00:00"


def line(state: str = "RUNNING", code: str = "0", name: str = "eval-1", start: str = NOON) -> str:
    """A line of squeue in our format."""
    fields = ("7", state, code, "None", "n1", "gpu", NOON, start, "N/A", "0")
    return "".join(f"{field:20}|" for field in fields) + f"{name:30}|\n"


def test_a_job_has_its_fields() -> None:
    [job] = parse_jobs(line())

    assert (job.job_id, job.name, job.state, job.node) == ("7", "eval-1", SlurmState.RUNNING, "n1")
    assert (job.partition, job.reason, job.exit_code, job.restarts) == ("gpu", None, None, 0)
    assert job.started_at == datetime(2026, 11, 28, 12, tzinfo=UTC)
    assert job.expected_start is None


def test_the_start_of_a_pending_job_is_an_expectation() -> None:
    known, unknown = parse_jobs(line("PENDING") + line("PENDING", start="N/A"))

    assert (known.started_at, known.expected_start) == (
        None,
        datetime(2026, 11, 28, 12, tzinfo=UTC),
    )
    assert unknown.expected_start is None


def test_jobs_with_names_of_others_are_left_out() -> None:
    others = line(name="train|evalserver-2") + line(name="train\nevalserver-3")

    [job] = parse_jobs(others + line(name="evalserver-1") + others, "evalserver-")

    assert job.name == "evalserver-1"


@pytest.mark.parametrize(
    ("status", "code"), [("0", 0), ("768", 3), ("35072", 137), ("65280", 255), ("9", -9)]
)
def test_exit_codes_are_wait_statuses(status: str, code: int) -> None:
    [job] = parse_jobs(line("FAILED", status))

    assert job.exit_code == code


@pytest.mark.parametrize("state", ["RUNNING", "COMPLETING", "PENDING"])
def test_a_job_that_has_not_ended_has_no_exit_code(state: str) -> None:
    [job] = parse_jobs(line(state, "9"))

    assert job.exit_code is None
    assert not job.state.is_final


def test_a_state_of_a_later_version_is_kept_in_slurms_words() -> None:
    [job] = parse_jobs(line("EXPEDITING"))

    assert (job.state, job.state_text) == (SlurmState.OTHER, "EXPEDITING")
    assert not job.state.is_final


def test_names_that_users_chose_do_not_hide_other_jobs() -> None:
    jobs = parse_jobs(line(name="a|b\nc|d") + line(name="eval-2"))

    assert [job.name for job in jobs] == ["a|b\nc|d", "eval-2"]


def test_no_jobs_are_no_jobs() -> None:
    assert parse_jobs("") == ()


@pytest.mark.parametrize("text", ["JobID|Name\n", "slurm_load_jobs: what\n"])
def test_an_answer_in_another_format_is_not_an_answer(text: str) -> None:
    with pytest.raises(UnreadableAnswer):
        parse_jobs(text)


def test_a_node_has_all_its_partitions() -> None:
    rows = [("n1", "gpu", "idle"), ("n1", "short", "idle"), ("n2", "gpu", "down*")]
    text = "".join(
        f"{name}|{part}|{state}|gpu:2|gpu:0|{name} none|\n" for name, part, state in rows
    )

    first, second = parse_nodes(text)

    assert (first.name, first.partitions, first.gres) == ("n1", ("gpu", "short"), "gpu:2")
    assert (second.partitions, second.state, second.reason) == (("gpu",), "down*", "n2 none")


@pytest.mark.parametrize(
    ("state", "exit_code", "expected"),
    [
        ("COMPLETED", "0:0", (SlurmState.COMPLETED, 0)),
        ("FAILED", "3:0", (SlurmState.FAILED, 3)),
        ("CANCELLED by 1000", "0:15", (SlurmState.CANCELLED, -15)),
        ("RUNNING", "0:0", (SlurmState.RUNNING, None)),
    ],
)
def test_a_record_has_state_and_exit_code(
    state: str, exit_code: str, expected: tuple[SlurmState, int | None]
) -> None:
    [job] = parse_records(f"7|{state}|{exit_code}|n1|gpu|{NOON}|{NOON}|Unknown|eval-1\n")

    assert (job.state, job.exit_code) == expected
    assert (job.name, job.state_text, job.ended_at) == ("eval-1", state, None)
