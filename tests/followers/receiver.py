"""A receiver of webhooks in a process of its own: keeps what it gets, and answers as it is told.

    python -m tests.followers.receiver PORT FILE

Each line of the file is a request as JSON: its headers, its body, and the status of the answer. It
is written before the answer is sent. A file beside it, with the ending ``.answer``, says how to
answer: ``status`` and ``headers``, the share of requests that fail, and the seconds of a delay.
"""

import json
import random
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class Handler(BaseHTTPRequestHandler):
    """Keeps a request, then answers."""

    protocol_version = "HTTP/1.1"
    kept: Path

    def do_POST(self) -> None:
        """Keep the request, and answer with the wanted status and headers."""
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        headers = {name.lower(): text for name, text in self.headers.items()}
        wanted = self._wanted()
        status = int(wanted.get("status", 204))
        if random.random() < wanted.get("fail_share", 0):
            status = 500
        time.sleep(wanted.get("delay_s", 0))
        line = json.dumps({"headers": headers, "body": body, "status": status})
        with self.kept.open("a") as file:
            file.write(f"{line}\n")
        self.send_response(status)
        for name, text in wanted.get("headers", {}).items():
            self.send_header(name, text)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _wanted(self) -> dict[str, Any]:
        path = self.kept.with_suffix(".answer")
        return dict(json.loads(path.read_text())) if path.exists() else {}

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def main() -> None:
    """Receive until killed."""
    Handler.kept = Path(sys.argv[2])
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()


if __name__ == "__main__":
    main()
