"""What changes between two evaluations of a real harness shows in the second one, through the whole
server: it is started cold, with the reason, and the third one is warm and shows it, too.

Each harness has one server for all changes, one after another: each start takes seconds.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.changing_harness import ChangingHarness, outcome, seen
from tests.support import Json, how_started

HARNESSES = ("lm-eval", "lmms-eval", "inspect")
each_harness = pytest.mark.parametrize(
    "harness", [pytest.param(name, marks=pytest.mark.real_harness(name)) for name in HARNESSES]
)


@dataclass(frozen=True)
class Change:
    """A change: what is done, what a task finds then, and why the next evaluation is cold (a text
    of it). Other engines and sets of variables are not changed, but named in the request."""

    make: Callable[[ChangingHarness], None]
    seen: Json
    why: str


def _request(**fields: Any) -> Callable[[ChangingHarness], None]:
    return lambda lab: lab.request.update(fields)


CHANGES = {
    "a task's YAML (Inspect: the task's file)":
        Change(ChangingHarness.edit_task, {"task": 33}, " has changed"),
    "a task's own Python":
        Change(lambda lab: lab.edit_module(2), {"module": 2}, ".py has changed"),
    "a package upgraded by pip":
        Change(lambda lab: lab.overlay.upgrade(2), {"package": [2, "2"]}, "lab_installed"),
    "an editable checkout":
        Change(lambda lab: lab.overlay.edit_checkout(2), {"checkout": 2},
               "lab_editable.py has changed"),
    "HF_HOME":
        Change(_request(env_profile="other_hub"), {"hub": ["other-hub"] * 2},
               "there was no warm parent yet"),
    "the include path":
        Change(_request(engine="other"), {"module": 7, "task": 32}, "there was no warm parent yet"),
}  # fmt: skip
"""By what changes. Each is made after the ones before it."""


@each_harness
async def test_what_changes_between_two_evaluations_shows_in_the_second(
    harness: str, tmp_path: Path
) -> None:
    lab = ChangingHarness(harness, tmp_path)
    async with lab.server:
        await lab.wait_until_warm()
        first = await lab.evaluate()
        assert how_started(first) == ("warm", None)
        expected = seen(first)
        for what, change in CHANGES.items():
            change.make(lab)
            _wait_until_settled()
            expected |= change.seen

            second = await lab.evaluate()
            await lab.wait_until_warm()
            third = await lab.evaluate()

            start, why = how_started(second)
            assert (start, change.why in (why or "")) == ("cold", True), (what, why)
            assert how_started(third) == ("warm", None), what
            assert [seen(second), seen(third)] == [expected] * 2, what
            assert outcome(third) == outcome(second), what


def _wait_until_settled() -> None:
    # A file that changed just before its import is taken for one that changes during it.
    time.sleep(1)
