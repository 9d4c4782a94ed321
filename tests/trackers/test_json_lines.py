"""What is sent of a finished job, and where the sending begins and goes on, in a file of lines."""

import json
import re
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from evalserver.trackers import (
    DamagedState,
    Filters,
    Place,
    Rejected,
    Start,
    StateTaken,
    open_destination,
    open_state,
)
from tests.support import Json
from tests.trackers.conftest import KEPT, MakeFollowed
from tests.trackers.following import assert_each_once, rows_of, steps_of
from tests.trackers.history import complete_jobs

SECRETS = {"api_key": "sk-0123456789abcdef", "base_url": "http://me:pass@host/"}


class TestSending:
    """What is sent."""

    async def test_a_line_has_the_numbers_of_a_job_and_what_they_belong_to(
        self, make_followed: MakeFollowed, file: Path
    ) -> None:
        followed = await make_followed()
        arguments = {"behave": "scores", "scores": "1/0/0.5"}
        job = await followed.api.submit(
            series="run", step=7, labels={"team": "a"}, model_args=arguments
        )
        await followed.api.finished(job)

        await followed.sending.once()

        [row] = rows_of(file)
        assert (row["job_id"], row["status"], row["step"]) == (job, "completed", 7)
        assert (row["series"], row["labels"]) == ("run", {"team": "a"})
        assert row["link"] == f"{followed.url}/ui/jobs/{job}"
        assert row["parameters"]["model_args.scores"] == "1/0/0.5"
        assert row["versions"]["packages.lmms-eval"] == "0.0.0"
        [number] = row["numbers"]
        assert (number["task"], number["metric"], number["value"]) == ("mme", "acc", 0.5)
        assert number["stderr"] == pytest.approx(0.2357, abs=1e-4)

    async def test_secrets_of_the_request_are_masked(
        self, make_followed: MakeFollowed, file: Path
    ) -> None:
        followed = await make_followed()
        await followed.api.finished(await followed.api.submit(model_args=SECRETS))

        await followed.sending.once()

        assert SECRETS["api_key"] not in file.read_text()
        assert "me:pass" not in file.read_text()

    async def test_a_job_that_failed_is_sent_with_its_status_and_without_numbers(
        self, make_followed: MakeFollowed, file: Path
    ) -> None:
        followed = await make_followed()
        await followed.api.finished(await followed.api.submit(model_args={"behave": "crash"}))

        await followed.sending.once()

        [row] = rows_of(file)
        assert (row["status"], row["numbers"]) == ("failed", [])
        assert row["error"].startswith("The evaluation failed with return code 1")

    async def test_a_retried_job_is_sent_each_time_that_it_finishes(
        self, make_followed: MakeFollowed, file: Path
    ) -> None:
        followed = await make_followed()
        job = await followed.api.submit(step=1)
        await followed.api.finished(job)
        await followed.sending.once()
        await followed.api.call("POST", f"/jobs/{job}/retry")
        await followed.api.finished(job)

        await followed.sending.once()

        assert [(row["attempt"], row["job_id"]) for row in rows_of(file)] == [(1, job), (2, job)]

    async def test_only_what_the_filters_select_is_sent(
        self, make_followed: MakeFollowed, data_dir: Path, file: Path
    ) -> None:
        await complete_jobs(data_dir, range(4), series="run-a")
        await complete_jobs(data_dir, range(10, 14), series="other")
        followed = await make_followed()
        filters = Filters(series=("run-*",), tasks=("mm*",), labels={"team": "even"})

        await followed.sending.once(filters=filters)

        assert steps_of(file) == [0, 2]

    async def test_no_numbers_of_other_tasks_are_sent(
        self, make_followed: MakeFollowed, file: Path
    ) -> None:
        followed = await make_followed()
        await followed.api.finished(await followed.api.submit(tasks=["mme", "gsm8k"]))

        await followed.sending.once(filters=Filters(tasks=("gsm*",)))

        assert [number["task"] for number in rows_of(file)[0]["numbers"]] == ["gsm8k"]

    async def test_links_name_the_given_address(
        self, make_followed: MakeFollowed, data_dir: Path, file: Path
    ) -> None:
        [(job, *_), _] = sorted(await complete_jobs(data_dir, range(1)))
        followed = await make_followed()

        await followed.sending.once(link_url="https://eval.lab")

        row: Json = json.loads(file.read_text())
        assert row["link"] == f"https://eval.lab/ui/jobs/{job}"


class TestGoingOn:
    """Where it begins, and how it goes on."""

    async def test_pruned_jobs_are_sent_with_what_is_kept_of_them(
        self, make_followed: MakeFollowed, data_dir: Path, file: Path
    ) -> None:
        numbers = await complete_jobs(data_dir, range(3 * KEPT), keep=KEPT)
        followed = await make_followed()

        await followed.sending.once()

        assert_each_once(file, numbers)
        assert rows_of(file)[0]["series"] == "run"
        assert rows_of(file)[0]["labels"] == {"team": "even"}

    async def test_the_next_run_sends_only_what_finished_since(
        self, make_followed: MakeFollowed, data_dir: Path, file: Path
    ) -> None:
        await complete_jobs(data_dir, range(3))
        followed = await make_followed()
        assert await followed.sending.once() == 3
        await followed.api.finished(await followed.api.submit(step=3))

        assert await followed.sending.once() == 1

        assert steps_of(file) == [0, 1, 2, 3]

    async def test_from_the_beginning_it_adds_only_what_is_missing(
        self, make_followed: MakeFollowed, data_dir: Path, file: Path
    ) -> None:
        numbers = await complete_jobs(data_dir, range(3))
        followed = await make_followed()
        await followed.sending.once()
        first, *others = file.read_text().splitlines(keepends=True)
        file.write_text("".join(others))

        await followed.sending.once(Start.BEGINNING)

        assert_each_once(file, numbers)
        assert first in file.read_text()

    async def test_from_now_it_leaves_out_what_has_finished_before(
        self, make_followed: MakeFollowed, data_dir: Path, file: Path
    ) -> None:
        await complete_jobs(data_dir, range(3))
        followed = await make_followed()
        await followed.sending.once(Start.NOW)
        await followed.api.finished(await followed.api.submit(step=3))

        await followed.sending.once(Start.NOW)

        assert steps_of(file) == [3]

    async def test_it_begins_again_on_a_database_that_is_behind_it_such_as_of_a_backup(
        self, make_followed: MakeFollowed, data_dir: Path, file: Path, state: Path
    ) -> None:
        numbers = await complete_jobs(data_dir, range(3))
        followed = await make_followed()
        with open_state(state, followed.url, "jsonl", str(file), []) as opened:
            opened.save(10**6)

        await followed.sending.once()

        assert_each_once(file, numbers)


class TestFiles:
    """Damaged files, and files of others."""

    async def test_a_line_that_a_crash_left_unfinished_is_cut_and_sent_again(
        self, make_followed: MakeFollowed, data_dir: Path, file: Path
    ) -> None:
        await complete_jobs(data_dir, range(3))
        followed = await make_followed()
        await followed.sending.once()
        whole = file.read_text()
        file.write_text(whole[:-50])

        await followed.sending.once(Start.BEGINNING)

        assert file.read_text() == whole

    @pytest.mark.parametrize("content", ["diary\n", '{"a": 1}\n', "\n", '{"job_id"; '])
    async def test_a_file_of_something_else_is_left_alone(
        self, make_followed: MakeFollowed, file: Path, content: str
    ) -> None:
        file.write_text(content)
        followed = await make_followed()

        with pytest.raises(Rejected, match="give another one"):
            await followed.sending.once()

        assert file.read_text() == content

    async def test_a_damaged_line_is_named(
        self, make_followed: MakeFollowed, data_dir: Path, file: Path
    ) -> None:
        await complete_jobs(data_dir, range(2))
        followed = await make_followed()
        await followed.sending.once()
        lines = file.read_text().splitlines(keepends=True)
        file.write_text(f'{lines[0]}{{"job_id": "\n{lines[1]}')

        with pytest.raises(Rejected, match=re.escape(f"{file}:2 is not a record")):
            await followed.sending.once()

    async def test_two_followers_do_not_share_a_file(
        self, make_followed: MakeFollowed, file: Path, state: Path
    ) -> None:
        followed = await make_followed()
        await followed.sending.once()
        other = replace(followed.sending, state=state / "other")

        with (
            open_state(state, "other", "jsonl", str(file), []) as taken,
            closing(open_destination("jsonl", Place(file=file), taken.directory)),
            pytest.raises(StateTaken, match=re.escape(str(file))),
        ):
            await other.once()


class TestState:
    """The file with the cursor."""

    def test_a_cursor_is_kept(self, state: Path) -> None:
        with open_state(state, "http://a", "jsonl", "f", []) as opened:
            opened.save(7)

        with open_state(state, "http://a", "jsonl", "f", []) as opened:
            assert opened.load() == 7

    @pytest.mark.parametrize(
        "other", [("http://b", "jsonl", "f", []), ("http://a", "mlflow", "f", []),
                  ("http://a", "jsonl", "g", []), ("http://a", "jsonl", "f", ["series a"])],
    )  # fmt: skip
    def test_another_server_destination_or_filter_has_another_cursor(
        self, state: Path, other: tuple[str, str, str, list[str]]
    ) -> None:
        with open_state(state, "http://a", "jsonl", "f", []) as opened:
            opened.save(7)

        with open_state(state, *other) as opened:
            assert opened.load() is None

    @pytest.mark.parametrize(
        "content", ["", "{", "[]", '{"version": 1}', '{"version": 9, "cursor": 1}',
                    '{"version": 1, "cursor": -1}', '{"version": 1, "cursor": true}'],
    )  # fmt: skip
    def test_a_damaged_cursor_is_reported_with_what_to_do(self, state: Path, content: str) -> None:
        with open_state(state, "http://a", "jsonl", "f", []) as opened:
            path = opened.directory / "cursor.json"
            path.write_text(content)

            with pytest.raises(DamagedState, match=re.escape(f"remove {path}")):
                opened.load()

    def test_the_same_state_is_not_opened_twice(self, state: Path) -> None:
        same: tuple[Path, str, str, str, list[str]] = (state, "http://a", "jsonl", "f", [])

        with open_state(*same), pytest.raises(StateTaken), open_state(*same):
            pass
