"""``CheckpointEvaluations``: the training never waits, and gets every result once."""

import asyncio
import json
import logging
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from evalserver.training import CheckpointEvaluations, Evaluation
from evalserver.training.checkpoint_evaluations import THREAD
from evalserver.training.submissions import MAX_UNSENT
from tests.client.faulty import FaultyServer, Reply, problem, unresponsive_port
from tests.support import Api, Json, ServerProcess, free_port, until

QUEUED = Reply({"job_id": "j1", "status": "queued"})
NOTHING_FINISHED = Reply({"jobs": [], "next_cursor": None})
QUICK = 0.05

Make = Callable[..., CheckpointEvaluations]


@pytest.fixture
async def make(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Make]:
    """A factory of evaluations of one run; all are closed after the test."""
    monkeypatch.delenv("EVALSERVER_TOKEN", raising=False)
    made: list[CheckpointEvaluations] = []

    def make(url: str, **options: Any) -> CheckpointEvaluations:
        run = {"series": "run1", "model": "dummy", "tasks": ["mme"], "poll_s": QUICK}
        made.append(CheckpointEvaluations(base_url=url, **{**run, **options}))
        return made[-1]

    yield make
    for evaluations in made:
        evaluations.close(flush_s=0)
    for thread in threading.enumerate():
        if thread.name == THREAD:
            await asyncio.to_thread(thread.join)


@pytest.fixture
async def faulty() -> AsyncIterator[FaultyServer]:
    """A server with scripted responses, on which nothing has finished."""
    async with FaultyServer() as server:
        server.set_replies("/jobs", NOTHING_FINISHED)
        yield server


@pytest.fixture
def url(api: Api) -> str:
    """The address of the real application."""
    return str(api.session.make_url(""))


async def collect(evaluations: CheckpointEvaluations, count: int) -> list[Evaluation]:
    """Return so many evaluations, when they have finished."""
    collected: list[Evaluation] = []

    async def are_enough() -> bool:
        collected.extend(evaluations.collect())
        return len(collected) >= count

    await until(are_enough)
    return collected


def steps_sent(server: FaultyServer) -> list[int]:
    """Return the steps of all submissions in order."""
    return [json.loads(each.body)["step"] for each in server.requests_to("/evaluate")]


async def sent(server: FaultyServer, count: int) -> None:
    """Wait for so many submissions, also such as were refused."""

    async def are_enough() -> bool:
        return len(server.requests_to("/evaluate")) >= count

    await until(are_enough)


async def asked(server: FaultyServer, count: int) -> None:
    """Wait until the server has been asked for results so many times."""

    async def are_enough() -> bool:
        return len(server.requests_to("/jobs")) >= count

    await until(are_enough)


class TestWithAServer:
    """What the server evaluates comes back."""

    async def test_metrics_come_back_with_the_step_of_their_checkpoint(
        self, url: str, make: Make
    ) -> None:
        evaluations = make(url)
        evaluations.submit("org/model-100", step=100)
        evaluations.submit("org/model-200", step=200)

        finished = await collect(evaluations, 2)

        assert [each.step for each in finished] == [100, 200]
        assert finished[0].metrics["mme/acc"] == 0.5

    async def test_a_failed_evaluation_comes_back_with_its_error(
        self, url: str, make: Make
    ) -> None:
        evaluations = make(url, model_args={"behave": "crash"})
        evaluations.submit("org/model", step=1)

        [failed] = await collect(evaluations, 1)

        assert failed.status == "failed"
        assert failed.error
        assert failed.metrics == {}

    async def test_waiting_ends_when_everything_can_be_collected(
        self, url: str, make: Make
    ) -> None:
        evaluations = make(url)
        for step in (1, 2, 3):
            evaluations.submit("org/model", step=step)

        assert await asyncio.to_thread(evaluations.wait, 300)

        assert [each.step for each in evaluations.collect()] == [1, 2, 3]

    async def test_a_resumed_run_collects_what_finished_meanwhile(
        self, url: str, make: Make
    ) -> None:
        first = make(url)
        first.submit("org/model", step=1)
        await collect(first, 1)
        state = json.loads(json.dumps(first.state_dict()))
        first.submit("org/model", step=2)
        await asyncio.to_thread(first.close)

        resumed = make(url)
        resumed.load_state_dict(state)

        assert [each.step for each in await collect(resumed, 1)] == [2]

    async def test_what_was_fetched_but_not_collected_is_collected_by_the_resumed_run(
        self, url: str, make: Make
    ) -> None:
        first = make(url)
        first.submit("org/model", step=1)
        assert await asyncio.to_thread(first.wait, 300)
        assert first.uncollected == 1

        resumed = make(url)
        resumed.load_state_dict(first.state_dict())

        assert [each.step for each in await collect(resumed, 1)] == [1]

    async def test_a_checkpoint_that_is_submitted_again_is_not_evaluated_again(
        self, url: str, api: Api, make: Make, tmp_path: Path
    ) -> None:
        (tmp_path / "checkpoint-1").mkdir()
        (tmp_path / "checkpoint-1" / "weights").write_text("w")
        for _ in range(2):
            evaluations = make(url)
            evaluations.submit(tmp_path / "checkpoint-1", step=1)
            assert await asyncio.to_thread(evaluations.wait, 300)

        jobs = await api.call("GET", "/jobs")

        assert len(jobs["jobs"]) == 1

    async def test_a_server_that_restarts_loses_nothing(
        self, server: ServerProcess, make: Make
    ) -> None:
        async with server:
            evaluations = make(server.url)
            evaluations.submit("org/model", step=1)
            await collect(evaluations, 1)
            server.kill()
            evaluations.submit("org/model", step=2)
            await server.start()

            assert [each.step for each in await collect(evaluations, 1)] == [2]


class TestWithoutAServer:
    """No fault of the server reaches the training."""

    async def test_a_checkpoint_is_submitted_when_the_server_comes_up(
        self, make: Make, faulty: FaultyServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        await faulty.stop()
        evaluations = make(faulty.url)
        evaluations.submit("org/model", step=1)
        await until(lambda: _warned(caplog))

        faulty.set_replies("/evaluate", QUEUED)
        await faulty.start()
        await sent(faulty, 1)

        assert steps_sent(faulty) == [1]

    async def test_a_server_that_never_answers_does_not_block(self, make: Make) -> None:
        async with unresponsive_port() as url:
            evaluations = make(url)

            # In this thread, of which the server needs nothing: a call that waited would not end.
            evaluations.submit("org/model", step=1)
            assert evaluations.collect() == []
            evaluations.close(flush_s=0)

            assert [each["step"] for each in evaluations.state_dict()["unsent"]] == [1]

    async def test_a_fault_that_lasts_is_logged_once(
        self, make: Make, faulty: FaultyServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        faulty.set_replies("/evaluate", problem(503, "The disk is full"))
        evaluations = make(faulty.url)
        evaluations.submit("org/model", step=1)
        evaluations.submit("org/model", step=2)

        await sent(faulty, 5)

        assert len(_warnings(caplog)) == 1

    async def test_a_checkpoint_is_submitted_when_its_token_is_accepted(
        self, make: Make, faulty: FaultyServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        refused = problem(401, "This token is not known")
        faulty.set_replies("/evaluate", refused, refused, QUEUED)
        evaluations = make(faulty.url, token="secret-token")  # noqa: S106 - of no server
        evaluations.submit("org/model", step=1)

        await sent(faulty, 3)

        assert len(_warnings(caplog)) == 1
        assert "secret-token" not in caplog.text

    async def test_a_rejected_checkpoint_is_logged_and_the_next_one_submitted(
        self, make: Make, faulty: FaultyServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        faulty.set_replies("/evaluate", problem(422, "There is no such path"), QUEUED)
        evaluations = make(faulty.url)
        evaluations.submit("org/model", step=1)
        evaluations.submit("org/model", step=2)

        await sent(faulty, 2)

        assert steps_sent(faulty) == [1, 2]
        assert ["step 1 is not evaluated" in each for each in _warnings(caplog)] == [True]

    async def test_results_are_collected_while_submissions_have_to_wait(
        self, make: Make, faulty: FaultyServer
    ) -> None:
        faulty.set_replies("/evaluate", problem(429, "Too many wait", headers={"Retry-After": "9"}))
        faulty.set_replies("/jobs", Reply({"jobs": [_job(7)], "next_cursor": None}))
        evaluations = make(faulty.url)

        evaluations.submit("org/model", step=8)

        assert (await collect(evaluations, 1))[0].step == 7

    async def test_answers_that_make_no_sense_do_not_end_the_thread(
        self, make: Make, faulty: FaultyServer
    ) -> None:
        faulty.set_replies("/evaluate", Reply(text="<html>", content_type="text/html"), QUEUED)
        faulty.set_replies("/jobs", Reply({"jobs": 3}), Reply([]), NOTHING_FINISHED)
        evaluations = make(faulty.url)
        evaluations.submit("org/model", step=1)

        await sent(faulty, 2)
        await asked(faulty, 4)

        assert evaluations.state_dict()["unsent"] == []

    async def test_what_is_not_submitted_at_the_end_is_named_and_in_the_state(
        self, make: Make, caplog: pytest.LogCaptureFixture
    ) -> None:
        evaluations = make(f"http://127.0.0.1:{free_port()}")
        evaluations.submit("org/model", step=1, limit=4)

        await asyncio.to_thread(evaluations.close, 0)

        assert "not submitted: the checkpoints of steps 1" in caplog.text
        unsent = {"path": "org/model", "step": 1, "fields": {"limit": 4}}
        assert evaluations.state_dict() == {"cursor": None, "unsent": [unsent]}

    async def test_a_resumed_run_submits_what_was_not_submitted(
        self, make: Make, faulty: FaultyServer
    ) -> None:
        faulty.set_replies("/evaluate", QUEUED)
        unsent = {"path": "org/model", "step": 1, "fields": {"limit": 4}}

        make(faulty.url).load_state_dict({"cursor": None, "unsent": [unsent]})
        await sent(faulty, 1)

        assert faulty.json("/evaluate")["limit"] == 4

    @pytest.mark.parametrize(
        "state", [{"cursor": "x"}, {"cursor": 3}, {"unsent": [{"a": 1}]}, {"unsent": 3}, []]
    )
    async def test_a_state_that_cannot_be_read_is_logged_and_ignored(
        self, make: Make, state: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        evaluations = make(f"http://127.0.0.1:{free_port()}")

        evaluations.load_state_dict(state)

        assert "the state of the evaluations is not used" in caplog.text
        assert evaluations.state_dict() == {"cursor": None, "unsent": []}

    async def test_the_oldest_checkpoints_are_given_up_when_too_many_wait(self, make: Make) -> None:
        evaluations = make(f"http://127.0.0.1:{free_port()}", poll_s=3600)

        for step in range(MAX_UNSENT + 2):
            evaluations.submit("org/model", step=step)

        steps = [each["step"] for each in evaluations.state_dict()["unsent"]]
        assert steps == list(range(2, MAX_UNSENT + 2))


class TestArguments:
    """What can never work is said before the training begins."""

    def test_an_unknown_field_is_named(self, make: Make) -> None:
        with pytest.raises(TypeError, match="submit_checkpoint has no field 'limits'"):
            make("http://127.0.0.1:9", limits=3)

    def test_an_address_must_be_one(self, make: Make) -> None:
        with pytest.raises(ValueError, match="ftp"):
            make("ftp://somewhere")

    def test_polling_takes_a_pause(self, make: Make) -> None:
        with pytest.raises(ValueError, match="poll_s"):
            make("http://127.0.0.1:9", poll_s=0)


class TestDistributedRuns:
    """Every process may call everything; one of them does something."""

    @pytest.fixture
    def other(self, make: Make, faulty: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> Any:
        """The evaluations of a process that is not the main one."""
        monkeypatch.setenv("RANK", "1")
        return make(faulty.url)

    async def test_another_process_sends_nothing(
        self, other: CheckpointEvaluations, make: Make, faulty: FaultyServer
    ) -> None:
        faulty.set_replies("/evaluate", QUEUED)
        other.submit("org/model", step=1)
        assert other.collect() == []
        assert other.wait(0)

        main = make(faulty.url, is_main=True)
        main.submit("org/model", step=2)
        await asked(faulty, 3)

        assert steps_sent(faulty) == [2]

    async def test_another_process_has_an_empty_state(self, other: CheckpointEvaluations) -> None:
        other.submit("org/model", step=1)

        assert other.state_dict() == {"cursor": None, "unsent": []}


def _job(step: int) -> Json:
    metrics = {"mme": {"acc,none": 1.0, "acc_stderr,none": "N/A", "alias": "mme", "ok": True}}
    return {
        "job_id": f"j{step}",
        "event_id": step,
        "step": step,
        "status": "completed",
        "error": None,
        "result": {"dummy": {"metrics": metrics}},
    }


def test_metrics_are_the_finite_numbers_by_task_metric_and_filter() -> None:
    job = _job(1)
    job["result"]["dummy"]["metrics"]["gsm8k"] = {"match,strict": 1, "f1,none": float("nan")}

    assert Evaluation(job).metrics == {"mme/acc": 1.0, "gsm8k/match/strict": 1.0}


@pytest.mark.parametrize("result", [None, 3, [], {"m": 3}, {"m": {"metrics": {"mme": None}}}])
def test_a_result_that_makes_no_sense_has_no_metrics(result: Any) -> None:
    assert Evaluation({"result": result}).metrics == {}


def _warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]


async def _warned(caplog: pytest.LogCaptureFixture) -> bool:
    return bool(_warnings(caplog))
