"""A vision model with the OpenAI API: a support vector machine that recognizes digits.

Use: ``python endpoint.py [--delay SECONDS] [--lone-surrogate]``. It trains at start, which takes
less than a second; a request for ``digits-svc@N`` is answered by a model trained with only N
images, like an early checkpoint. It serves on a free port of the loopback address and prints
``READY http://127.0.0.1:PORT``.

* ``POST /v1/chat/completions`` answers for the last image in the messages.
* ``GET /v1/models`` lists the one model.
* ``GET /requests`` lists the chat requests received so far, without the images' bytes.
"""

import argparse
import base64
import binascii
import io
import json
import re
import signal
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import digits_data
from PIL import Image
from sklearn.svm import SVC

MODEL = "digits-svc"
CHECKPOINT = re.compile(rf"{MODEL}@(\d{{1,4}})")
DATA_URL = re.compile(r"data:(image/[a-z]+);base64,", re.IGNORECASE)

Json = dict[str, Any]
Reader = Callable[[Image.Image], int]
"""A function that returns the digit in a picture."""


class BadRequest(Exception):
    """A request that the endpoint cannot answer; the text says why."""


@cache
def train(images: int | None = None) -> Reader:
    """Train the model on the first ``images`` training images, or on all of them."""
    inks, labels = digits_data.training()
    classifier = SVC(gamma=0.001).fit(inks[:images], labels[:images])

    def read(picture: Image.Image) -> int:
        return int(classifier.predict([digits_data.to_ink(picture)])[0])

    return read


def parts(messages: list[Json], role: str | None = None) -> Iterator[Json]:
    """Yield the parts of all messages, or of one role's; plain text counts as one part."""
    for message in messages:
        if role not in (None, message.get("role")):
            continue
        content = message.get("content") or []
        yield from [{"type": "text", "text": content}] if isinstance(content, str) else content


def text_of(messages: list[Json], role: str | None = None) -> str | None:
    """Return the text in the messages, one line for each part, or None if there is no text."""
    texts = [part["text"] for part in parts(messages, role) if part.get("type") == "text"]
    return "\n".join(texts) if texts else None


def image_urls(messages: list[Json]) -> list[str]:
    """Return the URLs of the images in the messages."""
    return [part["image_url"]["url"] for part in parts(messages) if part.get("type") == "image_url"]


def picture_from(url: str) -> Image.Image:
    """Decode the picture inside a data URL."""
    match = DATA_URL.match(url)
    if match is None:
        raise BadRequest("an image must be a data URL in base64")
    try:
        picture = Image.open(io.BytesIO(base64.b64decode(url[match.end() :], validate=True)))
        picture.load()
    except (binascii.Error, OSError) as error:
        raise BadRequest(f"the image cannot be read: {error}") from error
    return picture


def answer(body: Json, read: Reader, end: str = "") -> Json:
    """Return the chat completion for a request; its text has this end."""
    if body.get("stream"):
        raise BadRequest("streaming is not supported")
    urls = image_urls(body["messages"])
    if not urls:
        raise BadRequest("the messages hold no image")
    checkpoint = CHECKPOINT.fullmatch(str(body.get("model")))
    if checkpoint is not None:
        read = train(int(checkpoint[1]))
    text = f"The digit is {read(picture_from(urls[-1]))}.{end}"
    prompt_words = len((text_of(body["messages"]) or "").split())
    # There is no tokenizer: each word and each pixel of the model's input counts as a token.
    prompt_tokens = prompt_words + digits_data.SIDE**2 * len(urls)
    completion_tokens = len(text.split())
    message = {"role": "assistant", "content": text}
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": body.get("model", MODEL),
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
        },
    }


def without_bytes(value: Any) -> Any:
    """Return the JSON value with each data URL replaced by its length."""
    if isinstance(value, dict):
        return {key: without_bytes(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_bytes(item) for item in value]
    if isinstance(value, str) and (match := DATA_URL.match(value)):
        return f"{match.group()}({len(value) - match.end()} characters)"
    return value


def recorded_request(body: Json) -> Json:
    """Return the entry of ``GET /requests``: the request's fields, and the text of its messages."""
    messages = body["messages"]
    return {
        **without_bytes(body),
        "system_prompt": text_of(messages, "system"),
        "text": text_of(messages, "user"),
    }


def parse(raw: bytes) -> Json:
    """Parse and validate the chat request in an HTTP body."""
    try:
        body = json.loads(raw)
        # Malformed messages raise here.
        text_of(body["messages"])
        image_urls(body["messages"])
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise BadRequest(f"not a chat request: {error!r}") from error
    return dict(body)


class Endpoint(ThreadingHTTPServer):
    """The HTTP server, with the model and the requests it has received."""

    daemon_threads = True

    def __init__(self, read: Reader, delay: float, lone_surrogate: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.read = read
        self.delay = delay
        self.lone_surrogate = lone_surrogate
        self.received: list[Json] = []

    @property
    def url(self) -> str:
        """The server's URL."""
        return f"http://127.0.0.1:{self.server_port}"

    def complete(self, raw: bytes) -> Json:
        """Record a chat request, and return its answer after the delay."""
        body = parse(raw)
        # Recorded before the delay, so that a test can see a request while it is in progress.
        self.received.append(recorded_request(body))
        time.sleep(self.delay)
        broken = self.lone_surrogate and len(self.received) % 8 == 3
        return answer(body, self.read, "\ud800" if broken else "")


class Handler(BaseHTTPRequestHandler):
    """One connection, kept open between requests."""

    server: Endpoint
    protocol_version = "HTTP/1.1"
    # Head and body are separate writes; Nagle's algorithm would delay each response by 40 ms.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer ``/v1/models`` and ``/requests``."""
        if self.path == "/v1/models":
            model = {"id": MODEL, "object": "model", "created": 0, "owned_by": "tests"}
            self._send(HTTPStatus.OK, {"object": "list", "data": [model]})
        elif self.path == "/requests":
            self._send(HTTPStatus.OK, list(self.server.received))
        else:
            self._send_problem(HTTPStatus.NOT_FOUND, f"no such path: {self.path}")

    def do_POST(self) -> None:
        """Answer ``/v1/chat/completions``."""
        # Always read the body: unread bytes would be parsed as the connection's next request.
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != "/v1/chat/completions":
            self._send_problem(HTTPStatus.NOT_FOUND, f"no such path: {self.path}")
            return
        try:
            completion = self.server.complete(raw)
        except BadRequest as error:
            self._send_problem(HTTPStatus.BAD_REQUEST, str(error))
        else:
            self._send(HTTPStatus.OK, completion)

    def _send_problem(self, status: HTTPStatus, reason: str) -> None:
        self._send(status, {"error": {"message": reason, "type": "invalid_request_error"}})

    def _send(self, status: HTTPStatus, value: Any) -> None:
        payload = json.dumps(value).encode()
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)
        except ConnectionError:
            # A cancelled harness closes its connections without waiting for responses.
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: stderr is for errors, and ``GET /requests`` lists the requests."""


def serve(endpoint: Endpoint) -> None:
    """Serve until SIGTERM or SIGINT."""
    for number in (signal.SIGTERM, signal.SIGINT):
        # SystemExit leaves `serve_forever`; responses in progress end with the process.
        signal.signal(number, lambda *_: sys.exit(0))
    print(f"READY {endpoint.url}", flush=True)
    endpoint.serve_forever()


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Serve a model that reads digits.")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument(
        "--lone-surrogate", action="store_true", help="every eighth answer ends with U+D800"
    )
    arguments = parser.parse_args()
    with Endpoint(train(), arguments.delay, arguments.lone_surrogate) as endpoint:
        serve(endpoint)


if __name__ == "__main__":
    main()
