"""Roles: what a token allows, and what a route requires."""

from enum import StrEnum


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
