"""The administrators' part of the system page: queue, backups, tokens and webhooks."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from evalserver.core.roles import Role
from evalserver.followers.webhooks.events import EVENT_TYPES
from evalserver.store import Draining, Token, Webhook
from evalserver.web.api.admin import BACKUPS_NAME
from evalserver.web.keys import ARGS, SCHEDULER, STORE
from evalserver.web.security.authorization import ACCESS, ACCESS_POLICY, CALLER

MAX_BACKUPS = 5
MAX_TOKENS = 200


@dataclass(frozen=True)
class BackupFile:
    """A backup: its path, its size in bytes, and its creation time in seconds since 1970."""

    path: Path
    size: int
    made_at: float


@dataclass(frozen=True)
class Administration:
    """The data of the administrators' part.

    ``tokens`` is None unless the caller has a token with the role admin: a server without access
    control allows every operation except creating tokens.
    """

    draining: Draining | None
    backups: Sequence[BackupFile]
    tokens: Sequence[Token] | None
    webhooks: Sequence[Webhook]
    event_types: Sequence[str] = EVENT_TYPES


async def load_administration(request: web.Request) -> Administration | None:
    """Load the administrators' part; None if the caller is not an administrator."""
    app, caller = request.app, request[CALLER]
    if not app[ACCESS_POLICY].allows(caller, Role.ADMIN):
        return None
    backups = await asyncio.to_thread(_list_backups, app[ARGS].data_dir)
    tokens = None
    if caller.role is Role.ADMIN:
        # Valid tokens first, then revoked ones; the newest first in both groups.
        newest_first = sorted(
            await app[ACCESS].tokens(), key=lambda each: each.created_at, reverse=True
        )
        tokens = sorted(newest_first, key=lambda each: each.revoked_at is not None)[:MAX_TOKENS]
    webhooks = await app[STORE].webhooks.counted_webhooks()
    return Administration(app[SCHEDULER].draining, backups, tokens, webhooks)


def _list_backups(data_dir: str) -> list[BackupFile]:
    """Return the newest backups, newest first."""
    folder = Path(data_dir).absolute() / BACKUPS_NAME
    newest = sorted(folder.glob("*.db"), key=lambda path: path.name, reverse=True)[:MAX_BACKUPS]
    stats = [(path, path.stat()) for path in newest]
    return [BackupFile(path, stat.st_size, stat.st_mtime) for path, stat in stats]
