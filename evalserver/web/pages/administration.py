"""What the system page has for administrators: the queue, backups, tokens."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from evalserver.core.roles import Role
from evalserver.store import Draining, Token
from evalserver.web.api.admin import BACKUPS
from evalserver.web.keys import ARGS, SCHEDULER
from evalserver.web.security.authorization import ACCESS, ACCESS_POLICY, CALLER

MOST_BACKUPS = 5
MOST_TOKENS = 200


@dataclass(frozen=True)
class BackupFile:
    """A backup that is there: its path, its bytes, and when it was made, in seconds since 1970."""

    path: Path
    size: int
    made_at: float


@dataclass(frozen=True)
class Administration:
    """What an administrator is shown. ``tokens`` is None for who has not proven to be one: an open
    server lets everybody do everything but make tokens."""

    draining: Draining | None
    backups: Sequence[BackupFile]
    tokens: Sequence[Token] | None


async def administration(request: web.Request) -> Administration | None:
    """What there is for who asks; None unless that is an administrator."""
    app, caller = request.app, request[CALLER]
    if not app[ACCESS_POLICY].allows(caller, Role.ADMIN):
        return None
    backups = await asyncio.to_thread(_backups, app[ARGS].data_dir)
    tokens = None
    if caller.role is Role.ADMIN:
        # Those that hold first; of those that do not, the newest say who had access.
        every = sorted(await app[ACCESS].tokens(), key=lambda each: each.created_at, reverse=True)
        tokens = sorted(every, key=lambda each: each.revoked_at is not None)[:MOST_TOKENS]
    return Administration(app[SCHEDULER].draining, backups, tokens)


def _backups(data_dir: str) -> list[BackupFile]:
    """The newest backups, the last one first."""
    folder = Path(data_dir).absolute() / BACKUPS
    newest = sorted(folder.glob("*.db"), key=lambda path: path.name, reverse=True)[:MOST_BACKUPS]
    told = [(path, path.stat()) for path in newest]
    return [BackupFile(path, status.st_size, status.st_mtime) for path, status in told]
