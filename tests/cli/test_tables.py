"""Tables with long names, many tasks and long errors, and numbers of very different size."""

from typing import Any

import pytest

from evalserver.cli import cells
from evalserver.cli.folding import MAX_LINES, fold
from evalserver.cli.screens import Column, column_widths, plain_table
from tests.cli.shell import Shell
from tests.cli.terminal import Terminal
from tests.support import ServerProcess

LONG_NAME = "org/" + "n" * 112 + "-end"
TASKS = [f"task_number_{number}" for number in range(30)]
ERROR = "It failed\nLast lines of eval.log:\n" + "\n".join(
    f"  line {number} {'x' * 60}" for number in range(40)
)


async def submit_long_and_short(server: ServerProcess) -> None:
    """Queue a job with a name of 120 characters and 30 tasks, and one with short ones."""
    await server.api.call("POST", "/drain")
    await server.api.submit_unchecked(tasks=TASKS, model_args={"pretrained": LONG_NAME})
    await server.api.submit(labels={"run": "7b"})


async def test_a_long_row_leaves_a_terminal_the_columns_of_all(server: ServerProcess) -> None:
    async with server:
        await submit_long_and_short(server)
        environment = {"EVALSERVER_URL": server.url}
        with Terminal("jobs", columns=120, environment=environment) as terminal:
            terminal.end()

    head = terminal.screen().splitlines()[0]
    assert head.split() == ["JOB", "STATUS", "MODEL", "TASKS", "PROGRESS", "SUBMITTED", "LABELS"]


@pytest.mark.parametrize("columns", [60, 80, 100, 120])
async def test_a_long_row_omits_no_column_that_short_rows_would_show(
    server: ServerProcess, columns: int
) -> None:
    async with server:
        await server.api.call("POST", "/drain")
        short = [
            await server.api.submit(model_args={"pretrained": "org/m"}, labels={"run": "7b"})
            for _ in range(2)
        ]
        environment = {"EVALSERVER_URL": server.url}
        with Terminal("jobs", columns=columns, environment=environment) as terminal:
            terminal.end()
        before = terminal.screen().splitlines()[0].split()
        await server.api.submit_unchecked(tasks=TASKS, model_args={"pretrained": LONG_NAME})
        with Terminal("jobs", columns=columns, environment=environment) as terminal:
            terminal.end()

    screen = terminal.screen().splitlines()
    assert screen[0].split() == before
    assert [line.split()[0] for line in screen[-2:]] == [each[-8:] for each in short[::-1]]


async def test_a_terminal_shows_the_whole_of_a_long_name(server: ServerProcess) -> None:
    async with server:
        await submit_long_and_short(server)
        environment = {"EVALSERVER_URL": server.url}
        with Terminal("jobs", columns=120, environment=environment) as terminal:
            terminal.end()

    assert terminal.screen().count("n") >= 112
    assert "-end" in terminal.screen()


async def test_a_long_cell_in_a_pipe_pads_no_other(server: ServerProcess) -> None:
    async with server:
        await submit_long_and_short(server)
        lines = Shell(server.url).stdout_of("jobs").splitlines()

    assert len(lines[1]) < 120
    assert LONG_NAME in lines[2]


def test_cells_of_ordinary_length_are_aligned_in_a_pipe() -> None:
    assert plain_table(["A", "B"], [["x" * 40, "1"], ["y", "2"], ["z" * 200, "3"]]) == [
        "A" + " " * 41 + "B",
        "x" * 40 + "  1",
        "y" + " " * 41 + "2",
        "z" * 200 + "  3",
    ]


def test_many_tasks_are_counted() -> None:
    assert cells.tasks(TASKS) == "task_number_0,task_number_1 +28"


def test_few_tasks_are_named() -> None:
    assert cells.tasks(["mme", "ai2d"]) == "mme,ai2d"


def test_a_long_text_keeps_its_beginning_and_its_end() -> None:
    assert cells.shorten("The answer is, after all, 42", 13) == "The an…ll, 42"


def test_a_long_error_has_few_lines_and_says_how_to_see_all() -> None:
    job = {"job_id": "0199aaaa-0000-7000-8000-0000abcd2222", "error": ERROR}

    shown = cells.error_lines(job)

    assert shown[:3] == [
        "It failed",
        "Last lines of eval.log:",
        "... 34 more lines: evalserver logs abcd2222",
    ]
    assert len(shown) == 9
    assert shown[-1].startswith("  line 39 ")


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([1.0, 0.625, None], ["1.0000", "0.6250", "-"]),
        ([0.0, 1.0], ["0", "1"]),
        ([0.5, 0.000123], ["0.500000", "0.000123"]),
        ([1534.25, 0.5], ["1534.2500", "0.5000"]),
        ([0.5, 1e-12], ["0.50000000", "1.00e-12"]),
        ([0.5, 1e300], ["0.5000", "1.00e+300"]),
        ([-0.25, 0.0], ["-0.2500", "0.0000"]),
        ([], []),
    ],
)
def test_the_numbers_of_a_column_have_the_same_decimals(
    values: list[Any], shown: list[str]
) -> None:
    assert cells.numbers(values) == shown


async def test_jobs_of_different_size_are_compared_with_a_note_in_the_table(
    server: ServerProcess,
) -> None:
    async with server:
        shell = Shell(server.url)
        large, small = (
            shell.submit_and_wait("-a", "behave=scores", "-a", f"scores={scores}")
            for scores in ("1/0/1/0/1/1/1/1", "1/0/1/0")
        )
        lines = shell.stdout_of("compare", large, small).splitlines()

    assert lines[2].split()[3:] == [
        small[-8:], "0.5000", "0.0000", "0.0000", "to", "0.0000", "within", "noise", "[1]",
        "-0", "+0", "1", "4", "paired",
    ]  # fmt: skip
    assert lines[3].startswith(
        "[1] The difference is that of the 4 documents that both have, of which the baseline's"
        " value is 0.5 and the job's 0.5; the values themselves are of 8 and 4 documents."
    )


@pytest.mark.parametrize(
    ("cell", "width", "lines"),
    [
        ("Qwen/Qwen2-VL-2B-Instruct", 16, ["Qwen/Qwen2-VL-", "2B-Instruct"]),
        ("mme,ai2d,mmmu_val +27", 10, ["mme,ai2d,", "mmmu_val", "+27"]),
        ("run=7b step=100", 20, ["run=7b step=100"]),
        ("n" * 20, 8, ["n" * 8, "n" * 8, "n" * 4]),
        ("first\nsecond line", 8, ["first", "second", "line"]),
        ("", 8, [""]),
    ],
)
def test_a_cell_is_folded_between_the_parts_of_its_names(
    cell: str, width: int, lines: list[str]
) -> None:
    assert fold(cell, width).split("\n") == lines


def test_a_cell_of_many_lines_keeps_its_beginning_and_its_end() -> None:
    lines = fold(LONG_NAME, 7).split("\n")

    assert len(lines) == MAX_LINES
    assert lines[0] == "org/nnn"
    assert lines[-1].endswith("-end")
    assert "…" in "".join(lines)


def test_a_column_that_tells_rows_apart_is_shown_on_a_narrow_terminal() -> None:
    columns = (Column("TASK"), Column("FILTER", optional=True, distinguishes=True))
    rows = [("t" * 20, "strict"), ("t" * 20, "loose")]

    assert 1 in column_widths(columns, rows, 22)


def test_a_column_whose_cells_are_alike_is_omitted_on_a_narrow_terminal() -> None:
    columns = (Column("TASK"), Column("FILTER", optional=True, distinguishes=True))
    rows = [("t" * 20, "none"), ("u" * 20, "none")]

    assert 1 not in column_widths(columns, rows, 22)


async def test_a_metric_that_the_baseline_lacks_makes_no_job_the_baseline(
    server: ServerProcess,
) -> None:
    async with server:
        shell = Shell(server.url)
        baseline = shell.submit_and_wait()
        other = shell.submit_and_wait("-a", "behave=judge")
        lines = shell.stdout_of("compare", baseline, other).splitlines()

    verdicts = {line.split()[3]: " ".join(line.split()[7:10]) for line in lines[1:]}
    assert verdicts[baseline[-8:]].startswith("baseline")
    assert verdicts[other[-8:]] == "not in baseline"


async def test_the_methods_of_a_comparison_are_wrapped_between_words(server: ServerProcess) -> None:
    async with server:
        shell = Shell(server.url)
        jobs = [shell.submit_and_wait("-a", "behave=scores", "-a", "scores=1/0") for _ in range(2)]
        environment = {"EVALSERVER_URL": server.url}
        with Terminal("compare", *jobs, columns=80, environment=environment) as terminal:
            terminal.end()

    assert "interval = difference" in " ".join(terminal.screen().split())


async def test_regressions_are_named_with_the_documents_that_changed(
    server: ServerProcess,
) -> None:
    async with server:
        shell = Shell(server.url)
        before, after = (
            shell.submit_and_wait("-a", "behave=scores", "-a", f"scores={'/'.join(scores)}")
            for scores in ("1111111111", "1000000000")
        )
        lines = shell.stdout_of("compare", before, after).splitlines()

    assert lines[-2:] == [
        f"{after[-8:]}: 1 of 1 metric regressed:",
        "  mme acc: 9 right to wrong, 0 wrong to right, p = 0.0039, corrected p = 0.0039",
    ]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1.0, "p = 1"), (0.1434, "p = 0.14"), (0.001, "p = 0.001"), (0.0009, "p < 0.001")],
)
def test_a_p_value_has_two_digits(value: float, shown: str) -> None:
    assert cells.p_value(value) == shown


async def test_the_status_of_a_job_has_the_name_of_its_model(server: ServerProcess) -> None:
    async with server:
        shell = Shell(server.url)
        job = shell.submit_and_wait("-a", "pretrained=org/model")
        lines = shell.stdout_of("status", job).splitlines()

    assert lines[2:4] == ["model       org/model", "model type  dummy"]
