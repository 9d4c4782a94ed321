"""Roles: what a token allows, and what a route asks for."""

from enum import StrEnum


class Role(StrEnum):
    """From the least to the most: each may do all that those before it may."""

    ANYONE = "anyone"
    """No token is needed; no token has this role."""
    VIEWER = "viewer"
    """Reads everything."""
    SUBMITTER = "submitter"
    """Submits, too, and cancels and retries its own jobs."""
    ADMIN = "admin"
    """Does everything, to everybody's jobs, and makes tokens."""

    def covers(self, needed: "Role") -> bool:
        """May who has this role do what ``needed`` is asked for?"""
        return RANK[self] >= RANK[needed]


RANK = {role: rank for rank, role in enumerate(Role)}

GIVEN = (Role.VIEWER, Role.SUBMITTER, Role.ADMIN)
"""The roles that a token may have."""
