"""Roles: what a token allows, and what a route requires."""

from enum import StrEnum
from typing import Any


class Role(StrEnum):
    """In ascending order: each role includes the permissions of those before it."""

    ANYONE = "anyone"
    """No token required. No token has this role."""
    VIEWER = "viewer"
    """May read everything."""
    SUBMITTER = "submitter"
    """May also submit jobs, and cancel and retry its own."""
    ADMIN = "admin"
    """May do everything to all jobs, and create tokens."""

    def covers(self, needed: "Role") -> bool:
        """Whether this role includes the permissions of ``needed``."""
        return RANK[self] >= RANK[needed]


RANK = {role: rank for rank, role in enumerate(Role)}

ASSIGNABLE_ROLES = (Role.VIEWER, Role.SUBMITTER, Role.ADMIN)
"""The roles that a token can have."""


def parse_roles(where: str, value: Any) -> frozenset[Role]:
    """Return the roles of a setting.

    Raises ValueError, which names it and what is allowed, but not the value: it may be a secret
    that was put in the wrong place.
    """
    known = [str(role) for role in ASSIGNABLE_ROLES]
    if not isinstance(value, list) or not value or not set(map(str, value)) <= set(known):
        raise ValueError(f"{where} must be a list of roles, from {', '.join(known)}")
    return frozenset(Role(each) for each in value)
