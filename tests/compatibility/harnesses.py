"""What is asked of each harness: its task, its model, and the answers that are known beforehand."""

import json
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from tests.compatibility.endpoint import CAPITALS, WRONG, Endpoint, serving_capitals
from tests.digits_model import make_digits_task, serving_digits
from tests.support import WAIT_SECONDS, Json

ODD_TEXT = "a,b=c {d: [1, 2]}, e=True"
"""A value that a parser of ``name=value,name=value`` would take apart."""

DELAY_SECONDS = 0.15
"""Of each answer: an evaluation lasts long enough to see its progress, and to cancel it."""


@dataclass(frozen=True)
class Subject:
    """One version of one harness, with the interpreter that has it."""

    engine: str
    version: str
    python: Path

    @property
    def name(self) -> str:
        """Engine and version, as ``--only`` takes them."""
        return f"{self.engine}-{self.version}"


class Harness(ABC):
    """A task and a model for one engine. ``right`` of ``total`` questions get a right answer."""

    engine: ClassVar[str]
    task: ClassVar[str]
    metric: ClassVar[str]
    model: ClassVar[str]
    dummy: ClassVar[str]
    """The harness's model that needs no endpoint, as ``GET /models`` lists it."""
    right: ClassVar[int]
    total: ClassVar[int]
    takes_task_files: ClassVar[bool] = True

    def __init__(self, folder: Path) -> None:
        self.tasks_folder = folder / "tasks"
        self.tasks_folder.mkdir(exist_ok=True)

    @property
    def task_file(self) -> Path:
        """The path of the task's definition."""
        return self.tasks_folder / f"{self.task}.yaml"

    @abstractmethod
    def request(self, alias: str) -> Json:
        """Return a request that asks the model under a name that no other request has."""

    @abstractmethod
    def odd_request(self, alias: str) -> Json:
        """Return a request with ``ODD_TEXT`` in it, and with the alias before it."""

    @abstractmethod
    def received(self) -> Sequence[Json]:
        """Return the requests that the endpoint got."""

    @abstractmethod
    def odd_arguments_fault(self, asked: Sequence[Json]) -> str | None:
        """Return what arrived wrongly of ``odd_request``; None if nothing did."""


class LmmsEval(Harness):
    """The digits of scikit-learn, and a vision model that reads them."""

    engine = "lmms_eval"
    task = "digits_vqa"
    metric = "acc"
    model = "async_openai"
    dummy = "dummy"
    right = 62
    total = 64

    def __init__(self, folder: Path, url: str) -> None:
        super().__init__(folder)
        self._url = url
        make_digits_task(self.tasks_folder, folder / "hub")

    def request(self, alias: str) -> Json:
        """``num_cpus`` is the number of requests at a time, in every version."""
        return {"model": self.model, "tasks": [self.task], "model_args": self._model_args(alias)}

    def odd_request(self, alias: str) -> Json:
        """The name of the model is the odd text."""
        model_args = self._model_args(f"{alias} {ODD_TEXT}")
        gen_kwargs = {"temperature": 0.5, "max_new_tokens": 9}
        return {**self.request(alias), "model_args": model_args, "gen_kwargs": gen_kwargs}

    def received(self) -> Sequence[Json]:
        """Ask the endpoint, which is a process of its own."""
        with urllib.request.urlopen(f"{self._url}/requests", timeout=WAIT_SECONDS) as answer:  # noqa: S310 - http
            received: list[Json] = json.load(answer)
            return received

    def odd_arguments_fault(self, asked: Sequence[Json]) -> str | None:
        """What the endpoint saw counts."""
        for request in asked:
            if not request["model"].endswith(ODD_TEXT):
                return f"the model was called {request['model']!r}"
            sent = request.get("temperature"), request.get("max_tokens")
            if sent != (0.5, 9):
                return f"temperature and max_tokens arrived as {sent}"
        return None if asked else "the endpoint was not asked"

    def _model_args(self, name: str) -> Json:
        place = {"base_url": f"{self._url}/v1", "api_key": "none"}
        return {"model_version": name, **place, "num_cpus": 1}


class _Capitals(Harness):
    """Capitals, and a language model that knows all but one."""

    right = len(CAPITALS) - len(WRONG)
    total = len(CAPITALS)

    def __init__(self, folder: Path, endpoint: Endpoint) -> None:
        super().__init__(folder)
        self._endpoint = endpoint

    def received(self) -> Sequence[Json]:
        """The endpoint is a thread of this process."""
        return list(self._endpoint.received)


class LmEval(_Capitals):
    """Asked as a plain completion, which every version can do without a tokenizer."""

    engine = "lm_eval"
    task = "compatibility"
    metric = "exact_match"
    model = "local-completions"
    dummy = "dummy"

    def __init__(self, folder: Path, endpoint: Endpoint) -> None:
        super().__init__(folder, endpoint)
        data = self.tasks_folder / "capitals.jsonl"
        rows = [{"country": country, "capital": city} for country, city in CAPITALS.items()]
        data.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        # JSON is YAML.
        self.task_file.write_text(json.dumps(self._definition(data), indent=1))

    def request(self, alias: str) -> Json:
        """One request at a time."""
        return {
            "model": self.model,
            "tasks": [self.task],
            "model_args": {
                "model": alias,
                "base_url": f"{self._endpoint.url}/completions",
                "tokenizer_backend": None,
                "tokenized_requests": False,
                "num_concurrent": 1,
                "max_retries": 1,
            },
        }

    def odd_request(self, alias: str) -> Json:
        """The name of the model, and where it is to stop."""
        request = self.request(alias)
        request["model_args"]["model"] = f"{alias} {ODD_TEXT}"
        gen_kwargs = {"until": ["a,b", "\n"], "temperature": 0.5, "max_gen_toks": 9}
        return {**request, "gen_kwargs": gen_kwargs, "num_fewshot": 2}

    def odd_arguments_fault(self, asked: Sequence[Json]) -> str | None:
        """What the endpoint saw counts."""
        for request in asked:
            if not request["model"].endswith(ODD_TEXT):
                return f"the model was called {request['model']!r}"
            sent = request["temperature"], request["max_tokens"], request["stop"][:2]
            if sent != (0.5, 9, ["a,b", "\n"]):
                return f"temperature, max_gen_toks and until arrived as {sent}"
            if request_text(request).count("capital of") != 3:
                return "num_fewshot = 2 did not put two examples before the question"
        return None if asked else "the endpoint was not asked"

    def _definition(self, data: Path) -> Json:
        return {
            "task": self.task,
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": {"test": str(data)}},
            "test_split": "test",
            "fewshot_split": "test",
            "output_type": "generate_until",
            "doc_to_text": "The capital of {{country}} is",
            "doc_to_target": "{{capital}}",
            "generation_kwargs": {"until": ["\n"], "max_gen_toks": 8, "temperature": 0.0},
            "metric_list": [
                {"metric": self.metric, "aggregation": "mean", "higher_is_better": True}
            ],
            "metadata": {"version": 1.0},
        }


class InspectAi(_Capitals):
    """A chat model under an address of one's own: ``openai-api``."""

    engine = "inspect"
    task = "compatibility"
    metric = "accuracy"
    model = "openai-api"
    dummy = "mockllm"
    takes_task_files = False

    def __init__(self, folder: Path, endpoint: Endpoint) -> None:
        super().__init__(folder, endpoint)
        definition = Path(__file__).with_name("inspect_tasks") / "questions.py"
        (self.tasks_folder / definition.name).write_text(definition.read_text())
        (self.tasks_folder / "capitals.json").write_text(json.dumps(CAPITALS))

    def request(self, alias: str) -> Json:
        """One request at a time."""
        return {
            "model": f"openai-api/capitals/{alias}",
            "tasks": [self.task],
            "model_args": {"base_url": self._endpoint.url, "api_key": "none"},
            "batch_size": 1,
        }

    def odd_request(self, alias: str) -> Json:
        """What the model is told before each question."""
        gen_kwargs = {"system_message": ODD_TEXT, "temperature": 0.5, "max_tokens": 9}
        return {**self.request(alias), "gen_kwargs": gen_kwargs, "seed": 7}

    def odd_arguments_fault(self, asked: Sequence[Json]) -> str | None:
        """What the endpoint saw counts."""
        for request in asked:
            first = request["messages"][0]
            if (first["role"], first["content"]) != ("system", ODD_TEXT):
                return f"the first message was {first}"
            sent = request.get("temperature"), request.get("max_tokens"), request.get("seed")
            if sent != (0.5, 9, 7):
                return f"temperature, max_tokens and seed arrived as {sent}"
        return None if asked else "the endpoint was not asked"


def request_text(request: Json) -> str:
    """The prompt of a completion."""
    prompt: Any = request["prompt"]
    return prompt if isinstance(prompt, str) else "".join(prompt)


@contextmanager
def prepared(engine: str, folder: Path) -> Iterator[Harness]:
    """The harness of an engine, its model served for the length of the block."""
    if engine == LmmsEval.engine:
        with serving_digits("--delay", str(DELAY_SECONDS)) as url:
            yield LmmsEval(folder, url)
        return
    harness = {each.engine: each for each in (LmEval, InspectAi)}[engine]
    with serving_capitals(DELAY_SECONDS) as endpoint:
        yield harness(folder, endpoint)
