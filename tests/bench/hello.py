"""The least that a server of aiohttp does: ``python hello.py PORT`` answers with a constant."""

import sys

from aiohttp import web


async def say_hello(_request: web.Request) -> web.Response:
    """Answer any path."""
    return web.json_response({"status": "healthy"})


def main() -> None:
    """Serve on loopback until killed."""
    app = web.Application()
    app.router.add_get("/{path:.*}", say_hello)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)


if __name__ == "__main__":
    main()
