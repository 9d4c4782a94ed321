"""What the user of a page may do: the pages' only access checks.

They decide which buttons are shown. The routes enforce the same rules.
"""

from aiohttp import web

from evalserver.core.roles import Role
from evalserver.web.security.authentication import presented_session
from evalserver.web.security.authorization import ACCESS_POLICY, ANONYMOUS_CALLER, CALLER


def may_change(request: web.Request, submitted_by: str) -> bool:
    """Whether the caller may cancel, retry or prioritize a job of this submitter."""
    caller, policy = request.get(CALLER, ANONYMOUS_CALLER), request.app[ACCESS_POLICY]
    if policy.allows(caller, Role.ADMIN):
        return True
    return policy.allows(caller, Role.SUBMITTER) and caller.name == submitted_by


def logged_in_user(request: web.Request) -> str | None:
    """Return the name of the logged-in user; None without a login session."""
    caller = request.get(CALLER, ANONYMOUS_CALLER)
    has_session = (
        caller.token_id is not None
        and presented_session(request, request.app[ACCESS_POLICY].proxies) is not None
    )
    return caller.name if has_session else None
