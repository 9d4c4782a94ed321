"""A hub and a provider of models on loopback that answer every request with one error.

``/hub/NAME/...`` answers as the Hub does, ``/provider/NAME/...`` as OpenAI's API does; of a
provider, any other name gives a good answer.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HUB: dict[str, tuple[int, dict[str, str]]] = {
    "gated": (403, {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted."}),
    "gated-login": (401, {"X-Error-Code": "GatedRepo", "X-Error-Message": "Please log in."}),
    "missing": (404, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Not found"}),
    "missing-login": (401, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Not found"}),
    "revision": (404, {"X-Error-Code": "RevisionNotFound", "X-Error-Message": "Invalid rev"}),
    "entry": (404, {"X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found"}),
    "token": (401, {"X-Error-Message": "Invalid credentials in Authorization header"}),
    "busy": (429, {"X-Error-Message": "You have hit your rate limit", "Retry-After": "1"}),
    "down": (503, {}),
}

PROVIDER: dict[str, tuple[int, dict[str, Any]]] = {
    "401": (401, {"message": "Incorrect API key provided: x.", "code": "invalid_api_key"}),
    "403": (403, {"message": "You have no access to this model."}),
    "404": (404, {"message": "The model `m` does not exist.", "code": "model_not_found"}),
    "429": (429, {"message": "Rate limit reached for requests", "code": "rate_limit_exceeded"}),
    "quota": (
        429,
        {"message": "You exceeded your current quota.", "code": "insufficient_quota"},
    ),
    "context": (
        400,
        {
            "message": "This model's maximum context length is 8192 tokens. However, your messages"
            " resulted in 9001 tokens.",
            "code": "context_length_exceeded",
        },
    ),
    "500": (500, {"message": "The server had an error.", "type": "server_error"}),
}
ANSWER = {
    "id": "1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "2"}}
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}


class _Handler(BaseHTTPRequestHandler):
    def _respond(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kind, name = self.path.split("/")[1:3]
        if kind == "hub":
            status, headers = HUB[name]
            body: dict[str, Any] = {"error": headers.get("X-Error-Message", "error")}
        else:
            status, error = PROVIDER.get(name, (200, None))
            headers, body = {}, ANSWER if error is None else {"error": error}
        raw = b"" if self.command == "HEAD" else json.dumps(body).encode()
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    do_GET = do_POST = do_HEAD = _respond

    def log_message(self, *_args: object) -> None:
        """Log nothing."""


@contextmanager
def serving() -> Iterator[str]:
    """Serve on a free port; yields the URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
