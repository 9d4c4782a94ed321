"""What a visitor of the pages may do: asked here, and nowhere else in the pages."""

from aiohttp import web

CANCEL = "cancel"
RETRY = "retry"
PRIORITIZE = "prioritize"


def may(request: web.Request, deed: str) -> bool:
    """Whether the pages offer a deed to who asks. The server asks nobody for a name yet."""
    return True
