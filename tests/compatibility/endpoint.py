"""A language model with the OpenAI API that knows capitals, for the harnesses of text.

It takes completions and chat completions, answers after a delay, and keeps what it was asked.
"""

import json
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Json = dict[str, Any]

CAPITALS = {
    "Austria": "Vienna", "Belgium": "Brussels", "Chile": "Santiago", "Cuba": "Havana",
    "Denmark": "Copenhagen", "Egypt": "Cairo", "Finland": "Helsinki", "France": "Paris",
    "Germany": "Berlin", "Ghana": "Accra", "Greece": "Athens", "Hungary": "Budapest",
    "Iran": "Tehran", "Iraq": "Baghdad", "Ireland": "Dublin", "Italy": "Rome",
    "Japan": "Tokyo", "Kenya": "Nairobi", "Norway": "Oslo", "Peru": "Lima",
    "Poland": "Warsaw", "Portugal": "Lisbon", "Spain": "Madrid", "Sweden": "Stockholm",
}  # fmt: skip
WRONG = {"Japan": "Kyoto"}
"""What the model says of those that it does not know."""

ASKED = re.compile(r"capital of (\w+)")


class Endpoint(ThreadingHTTPServer):
    """The HTTP server, with the requests that it has received."""

    daemon_threads = True

    def __init__(self, delay: float) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.delay = delay
        self.received: list[Json] = []

    @property
    def url(self) -> str:
        """The base URL of the API, with its version."""
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print what went wrong, unless it is a harness that was cancelled."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    def answer(self, body: Json) -> Json:
        """Return the completion of a request, after the delay."""
        self.received.append(body)
        time.sleep(self.delay)
        chat = "messages" in body
        prompt = body["messages"] if chat else body["prompt"]
        country = ASKED.findall(json.dumps(prompt))[-1]
        text = WRONG.get(country, CAPITALS[country])
        said = {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
        return {
            "id": f"answer-{len(self.received)}",
            "object": "chat.completion" if chat else "text_completion",
            "created": int(time.time()),
            "model": body["model"],
            "choices": [{"index": 0, "finish_reason": "stop", "logprobs": None, **said}],
            "usage": {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10},
        }


class Handler(BaseHTTPRequestHandler):
    """One connection, kept open between requests."""

    server: Endpoint
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        """Answer a completion."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        payload = json.dumps(self.server.answer(body)).encode()
        try:
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)
        except ConnectionError:
            # A cancelled harness does not wait for its answers.
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


@contextmanager
def serving_capitals(delay: float) -> Iterator[Endpoint]:
    """The model, served for the length of the block."""
    with Endpoint(delay) as endpoint:
        thread = threading.Thread(target=endpoint.serve_forever)
        thread.start()
        try:
            yield endpoint
        finally:
            endpoint.shutdown()
            thread.join()
