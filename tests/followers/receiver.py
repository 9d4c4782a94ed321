"""A receiver of webhooks in a process of its own: keeps what it gets, and answers as it is told.

    python -m tests.followers.receiver PORT FILE [STATUS]

Each line of the file is a request as JSON: its headers and body. It is written and flushed before
the answer is sent. The status of the answers is that in FILE.status, if there is such a file.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    """Keeps a request, then answers."""

    protocol_version = "HTTP/1.1"
    kept: Path

    def do_POST(self) -> None:
        """Keep the request, and answer with the wanted status and headers."""
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        headers = {name.lower(): text for name, text in self.headers.items()}
        status, extra = self._answer()
        line = json.dumps({"headers": headers, "body": body, "status": status})
        with self.kept.open("a") as file:
            file.write(f"{line}\n")
        self.send_response(status)
        for name, text in extra.items():
            self.send_header(name, text)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _answer(self) -> tuple[int, dict[str, str]]:
        wanted = self.kept.with_suffix(".answer")
        if not wanted.exists():
            return 204, {}
        answer = json.loads(wanted.read_text())
        return int(answer["status"]), dict(answer.get("headers", {}))

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def main() -> None:
    """Receive until killed."""
    Handler.kept = Path(sys.argv[2])
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()


if __name__ == "__main__":
    main()
