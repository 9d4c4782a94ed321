"""What a caller may name in a request: sets of variables and executors can require a role."""

from http import HTTPStatus
from typing import Protocol

from aiohttp import web

from evalserver.core.roles import Role
from evalserver.web.http.errors import BadRequest
from evalserver.web.keys import ENV_PROFILES, EXECUTOR_SETTINGS
from evalserver.web.security.authorization import ACCESS_POLICY, CALLER


class Restricted(Protocol):
    """What only some roles may use; None: all may."""

    @property
    def roles(self) -> frozenset[Role] | None:
        """The roles that may."""

    def allows(self, role: Role) -> bool:
        """Whether a caller of this role may."""


def require_profile_role(request: web.Request, name: str | None) -> None:
    """Raise 403 if the caller may not use this set of variables."""
    if name is not None:
        _require_role(request, f"env_profile {name!r}", request.app[ENV_PROFILES].get(name))


def require_executor_role(request: web.Request, name: str) -> None:
    """Raise 403 if the caller may not have jobs run on this executor. On a server without access
    control, everybody may."""
    if not request.app[ACCESS_POLICY].open:
        _require_role(request, f"executor {name!r}", request.app[EXECUTOR_SETTINGS].get(name))


def _require_role(request: web.Request, what: str, wanted: Restricted | None) -> None:
    if wanted is not None and not wanted.allows(request[CALLER].role):
        roles = " or ".join(sorted(wanted.roles or ()))
        raise BadRequest(HTTPStatus.FORBIDDEN, f"{what} requires the role {roles}")
