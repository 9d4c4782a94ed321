"""What a visitor of the pages may do: asked here, and nowhere else in the pages.

The routes check it all again; what the pages do not offer to somebody, they would refuse.
"""

from aiohttp import web

from evalserver.core.roles import Role
from evalserver.web.security.authentication import shown_session
from evalserver.web.security.authorization import ACCESS_POLICY, ANONYMOUS_CALLER, CALLER


def may_change(request: web.Request, submitted_by: str) -> bool:
    """Whether who asks may cancel, retry or prioritize a job of this submitter."""
    caller, gate = request.get(CALLER, ANONYMOUS_CALLER), request.app[ACCESS_POLICY]
    if gate.allows(caller, Role.ADMIN):
        return True
    return gate.allows(caller, Role.SUBMITTER) and caller.name == submitted_by


def logged_in(request: web.Request) -> str | None:
    """The name of who has logged in; None on a server that asks nobody, and for who has not."""
    caller = request.get(CALLER, ANONYMOUS_CALLER)
    known = (
        caller.token_id is not None
        and shown_session(request, request.app[ACCESS_POLICY].proxies) is not None
    )
    return caller.name if known else None
