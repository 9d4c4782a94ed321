"""The page of one job: log, samples and actions."""

import asyncio
import json
import shlex
import shutil
import sys
from pathlib import Path

import pytest
from playwright.async_api import expect

from evalserver.core.request import REQUEST_FIELDS
from evalserver.web.pages.job import make_snippets
from tests.browser import Visit
from tests.cli.commands import evalserver
from tests.support import ServerProcess, stand_in_environment
from tests.web.pages.conftest import Lab


async def press(visit: Visit, button: str, *, confirm: str | None) -> None:
    """Click a button and confirm with this label; None leaves the dialog with "Back"."""
    await visit.page.get_by_role("button", name=button, exact=True).first.click()
    dialog = visit.page.get_by_role("dialog")
    await dialog.get_by_role("button", name=confirm or "Back").click()


@pytest.mark.browser
async def test_the_log_is_followed(server: ServerProcess, visit: Visit, tmp_path: Path) -> None:
    async with server:
        args = {"behave": "count", "lines": 400, "pause": 0.01}
        job_id = await server.api.submit(model_args=args)
        await visit.page.goto(f"{server.url}/ui/jobs/{job_id}")

        log = visit.page.locator("#log")
        await expect(log).to_contain_text("line 399")
        await expect(visit.page.locator("#log-state")).to_have_text("The log is complete.")
        gap = await log.evaluate("(log) => log.scrollHeight - log.scrollTop - log.clientHeight")

    assert gap < 2
    assert visit.errors == []


@pytest.mark.browser
async def test_an_empty_log_says_so(server: ServerProcess, visit: Visit) -> None:
    async with server:
        job_id = await server.api.submit(model_args={"behave": "silent"})
        job = await server.api.finished(job_id)
        (Path(job["run_dir"]) / "eval.log").write_text("")

        await visit.page.goto(f"{server.url}/ui/jobs/{job_id}")

        await expect(visit.page.locator("#log-state")).to_have_text("The log is empty.")


async def test_a_queued_job_of_a_local_checkpoint_has_a_page(tmp_path: Path) -> None:
    """Its provenance has the checkpoint's fingerprint from the submission on, and no more."""
    checkpoint = tmp_path / "checkpoint-100"
    checkpoint.mkdir()
    (checkpoint / "config.json").write_text("{}")
    server = ServerProcess(tmp_path / "data", "--allow-path", str(tmp_path))
    async with server:
        await server.api.call("POST", "/drain")
        args = {"pretrained": str(checkpoint)}
        job_id = await server.api.submit(model_args=args, lease="mark")

        page = await server.api.text(f"/ui/jobs/{job_id}")

    assert '<h2 id="provenance">' in page


@pytest.mark.browser
async def test_a_result_leads_to_the_samples_of_its_task(lab: Lab, visit: Visit) -> None:
    await visit.page.goto(f"{lab.url}/ui/jobs/{lab.completed[0]}")

    await visit.page.get_by_role("link", name="mme").first.click()

    await visit.page.wait_for_url(f"**/ui/jobs/{lab.completed[0]}/samples/mme")


@pytest.mark.browser
async def test_scrolling_up_stops_following_the_log(server: ServerProcess, visit: Visit) -> None:
    async with server:
        args = {"behave": "count", "lines": 600, "pause": 0.02}
        job_id = await server.api.submit(model_args=args)
        await visit.page.goto(f"{server.url}/ui/jobs/{job_id}")
        log = visit.page.locator("#log")
        await expect(log).to_contain_text("line 60\n")

        await log.evaluate("(log) => { log.scrollTop = 0; }")
        jump = visit.page.get_by_role("button", name="Jump to end")
        await jump.wait_for()
        count = await log.locator("span").count()
        await visit.page.wait_for_function(
            "(count) => document.querySelectorAll('#log span').length > count + 20", arg=count
        )
        assert await log.evaluate("(log) => log.scrollTop") == 0
        await jump.click()

        assert await log.evaluate("(log) => log.scrollTop") > 0
        await expect(jump).to_be_hidden()


@pytest.mark.browser
async def test_a_button_jumps_to_the_first_traceback(lab: Lab, visit: Visit) -> None:
    await visit.page.goto(f"{lab.url}/ui/jobs/{lab.failed}")

    await visit.page.get_by_role("button", name="First traceback").click()

    await expect(visit.page.locator("#log .found")).to_contain_text("Traceback (most recent")


@pytest.mark.browser
async def test_a_failed_job_shows_its_error_at_the_top(lab: Lab, visit: Visit) -> None:
    await visit.page.goto(f"{lab.url}/ui/jobs/{lab.failed}")

    await expect(visit.page.locator(".banner")).to_contain_text("the stand-in was told to crash")


@pytest.mark.browser
async def test_a_failed_job_shows_first_what_to_do(lab: Lab, visit: Visit) -> None:
    await visit.page.goto(f"{lab.url}/ui/jobs/{lab.failed}")

    await expect(visit.page.locator(".banner p").first).to_contain_text("harness_error")
    await expect(visit.page.locator(".banner p").first).to_contain_text("Read the last frames")


@pytest.mark.browser
async def test_the_code_of_a_failure_leads_to_the_jobs_that_have_it(lab: Lab, visit: Visit) -> None:
    await visit.page.goto(f"{lab.url}/ui/jobs/{lab.failed}")

    await visit.page.locator(".banner").get_by_role("link", name="harness_error").click()

    await expect(visit.page.locator("tbody tr")).to_have_count(1)
    await expect(visit.page.get_by_label("Failure")).to_have_value("harness_error")


@pytest.mark.browser
async def test_a_running_job_is_cancelled_after_confirmation(lab: Lab, visit: Visit) -> None:
    await visit.page.goto(f"{lab.url}/ui/jobs/{lab.running}")

    await press(visit, "Cancel", confirm="Cancel job")

    await expect(visit.page.locator("h1 .pill")).to_have_text("cancelled")
    await expect(visit.page.locator(".notice")).to_contain_text("is being cancelled")
    assert visit.errors == []


@pytest.mark.browser
async def test_leaving_the_dialog_cancels_nothing(lab: Lab, visit: Visit) -> None:
    await visit.page.goto(f"{lab.url}/ui/jobs/{lab.running}")

    await press(visit, "Cancel", confirm=None)

    assert (await lab.api.job(lab.running))["status"] == "running"
    assert not [
        each
        for each in visit.requests
        if each.endswith(f"/jobs/{lab.running}") and "/ui/" not in each
    ]


@pytest.mark.browser
async def test_escape_closes_the_dialog(lab: Lab, visit: Visit) -> None:
    await visit.page.goto(f"{lab.url}/ui/jobs/{lab.running}")
    button = visit.page.get_by_role("button", name="Cancel", exact=True)
    await button.click()

    await visit.page.keyboard.press("Escape")

    await expect(visit.page.get_by_role("dialog")).to_be_hidden()
    await expect(button).to_be_focused()


@pytest.mark.browser
async def test_a_failed_job_is_retried(lab: Lab, visit: Visit) -> None:
    await visit.page.goto(f"{lab.url}/ui/jobs/{lab.failed}")

    await press(visit, "Retry", confirm="Run again")

    await expect(visit.page.locator("h1 .pill")).to_have_text("queued")


@pytest.mark.browser
async def test_raising_the_priority_moves_a_job_ahead(lab: Lab, visit: Visit) -> None:
    await visit.page.goto(f"{lab.url}/ui/jobs/{lab.queued[1]}")

    await press(visit, "Raise priority", confirm="Raise priority")

    await expect(visit.page.locator("main")).to_contain_text("0 jobs ahead")
    assert (await lab.api.call("GET", "/queue"))["queued_jobs"] == [*reversed(lab.queued)]


@pytest.mark.browser
async def test_the_error_of_a_rejected_action_is_shown(lab: Lab, visit: Visit) -> None:
    await visit.page.goto(f"{lab.url}/ui/jobs/{lab.queued[1]}")
    await visit.page.route("**/events", lambda route: route.abort())
    button = visit.page.get_by_role("button", name="Cancel", exact=True)
    await button.click()
    await lab.api.call("DELETE", f"/jobs/{lab.queued[1]}")

    await visit.page.get_by_role("dialog").get_by_role("button", name="Cancel job").click()

    await expect(visit.page.locator(".notice")).to_contain_text("has already finished")


@pytest.mark.browser
async def test_samples_are_filtered_by_correctness(lab: Lab, visit: Visit) -> None:
    await visit.page.goto(f"{lab.url}/ui/jobs/{lab.completed[1]}")
    await expect(visit.page.locator(".sample")).to_have_count(4)

    await visit.page.get_by_role("link", name="Incorrect").click()

    await expect(visit.page.locator(".sample")).to_have_count(1)
    await expect(visit.page.locator(".sample .pill")).to_have_text("incorrect")


@pytest.mark.browser
async def test_a_sample_shows_its_image_question_and_target(lab: Lab, visit: Visit) -> None:
    await visit.page.goto(f"{lab.url}/ui/jobs/{lab.completed[1]}")

    sample = visit.page.locator(".sample").first
    await expect(sample).to_contain_text("Which digit is in image 0?")
    await expect(sample.locator("dd").first).to_have_text("7")
    width = await sample.locator("img").evaluate(
        "(image) => image.decode().then(() => image.naturalWidth)"
    )

    assert width == 8


@pytest.mark.browser
async def test_artifacts_are_listed_with_links(lab: Lab, visit: Visit) -> None:
    await visit.page.goto(f"{lab.url}/ui/jobs/{lab.completed[0]}")

    files = visit.page.locator(".files a")

    assert await files.count() == 2
    assert (await files.first.get_attribute("href") or "").startswith("/jobs/")


REQUEST = {
    "model": "dummy",
    "tasks": ["mme"],
    "model_args": {"name": 'it\'s "quoted" $HOME', "value": 0.25},
    "labels": {"team": "a b"},
    "limit": 2,
}


@pytest.mark.skipif(shutil.which("curl") is None, reason="the program curl is not installed")
async def test_the_copied_curl_sends_the_same_request(server: ServerProcess) -> None:
    async with server:
        response = await _run("bash", "-c", make_snippets(REQUEST, server.url).curl + " --silent")

        job = await server.api.job(json.loads(response)["job_id"])

    assert {name: job["request"][name] for name in REQUEST} == REQUEST


async def test_the_copied_python_sends_the_same_request(server: ServerProcess) -> None:
    async with server:
        program = f"{make_snippets(REQUEST, server.url).python}\nprint(job['job_id'])"
        response = await _run(sys.executable, "-c", program)

        job = await server.api.job(response.strip())

    assert {name: job["request"][name] for name in REQUEST} == REQUEST


@pytest.mark.parametrize("name", REQUEST_FIELDS)
def test_the_copied_command_sends_the_same_request(name: str) -> None:
    request = {**REQUEST, name: REQUEST_FIELDS[name].example}
    arguments = shlex.split(make_snippets(request, "http://x").cli.replace("\\\n", ""))

    sent = evalserver(*arguments[1:], "--print-request")

    assert json.loads(sent.stdout) == json.loads(json.dumps(request))


async def _run(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, env=stand_in_environment()
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode()
