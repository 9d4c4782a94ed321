"""What a caller may name in a request: sets of variables and executors can require a role."""

from http import HTTPStatus

from aiohttp import web

from evalserver.web.http.errors import BadRequest
from evalserver.web.keys import ENV_PROFILES, EXECUTOR_SETTINGS
from evalserver.web.security.authorization import ACCESS_POLICY, CALLER


def require_profile_role(request: web.Request, name: str | None) -> None:
    """Raise 403 if the caller may not use this set of variables."""
    profile = None if name is None else request.app[ENV_PROFILES].get(name)
    if profile is not None and not profile.allows(request[CALLER].role):
        roles = " or ".join(sorted(profile.roles or ()))
        raise BadRequest(HTTPStatus.FORBIDDEN, f"env_profile {name!r} requires the role {roles}")


def require_executor_role(request: web.Request, name: str) -> None:
    """Raise 403 if the caller may not have jobs run on this executor. On a server without access
    control, everybody may."""
    executor = request.app[EXECUTOR_SETTINGS].get(name)
    if executor is None or request.app[ACCESS_POLICY].open:
        return
    if not executor.allows(request[CALLER].role):
        roles = " or ".join(sorted(executor.roles or ()))
        raise BadRequest(HTTPStatus.FORBIDDEN, f"executor {name!r} requires the role {roles}")
