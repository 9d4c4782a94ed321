"""Who may do what: tokens and login sessions, held in memory as the store has them.

The server that owns the data directory is the only one that changes them, so nobody has to look
whether they are still so: a request costs one hash and one look into a dictionary. Secrets are
random and long, so a plain hash of one says nothing about it.
"""

import asyncio
import hmac
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from evalserver.core.clock import Clock, timestamp, utc_now
from evalserver.core.roles import Role
from evalserver.core.supervision import log_failure
from evalserver.store import (
    LoginSession,
    StoreUnavailable,
    Token,
    TokenStore,
)

PREFIX = "evs_"
SECRET_BYTES = 32
MAX_SECRET_CHARACTERS = 128
"""Characters of what is shown as a token; nothing longer is looked at."""

TOKEN_NAME = r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}"  # noqa: S105 - what a name may be

ANONYMOUS = "anonymous"
"""Who does things on a server that asks nobody for a token."""
OPERATOR = "operator"
"""Who works on the data directory itself."""
RESERVED_NAMES = frozenset({ANONYMOUS, OPERATOR, "server"})
"""Names that the audit log has for others."""

MIN_USE_INTERVAL = timedelta(minutes=1)
"""The least time between two notes that one token was used."""
SESSION_LIFETIME = timedelta(days=7)
MAX_SESSIONS = 20
"""Of one token; with a further login the oldest one ends."""


class InvalidTokenName(Exception):
    """A token cannot have this name; says what it may be."""


@dataclass(frozen=True)
class Caller:
    """Who sends a request, and what they may do. ``token_id`` is None for who shows no token."""

    name: str
    role: Role
    token_id: str | None = None


@dataclass(frozen=True)
class _ActiveToken:
    """A token that is neither revoked nor, when it was read, expired."""

    secret_hash: str
    caller: Caller
    expires_at: datetime | None


class Access:
    """The tokens of one server. ``load`` it first, and ``close`` it."""

    def __init__(self, store: TokenStore, clock: Clock = utc_now) -> None:
        self._store = store
        self._clock = clock
        self._by_hash: dict[str, _ActiveToken] = {}
        self._by_id: dict[str, _ActiveToken] = {}
        self._sessions: dict[str, tuple[_ActiveToken, datetime]] = {}
        self._last_recorded: dict[str, datetime] = {}
        self._pending_writes: set[asyncio.Task[None]] = set()

    async def load(self) -> None:
        """Read what the store has."""
        tokens = await self._store.all_tokens()
        for token in tokens:
            if token.revoked_at is None:
                self._activate(token)
        for session in await self._store.all_sessions():
            known = self._by_id.get(session.token_id)
            if known is not None:
                until = datetime.fromisoformat(session.expires_at)
                self._sessions[session.session_hash] = (known, until)

    async def close(self) -> None:
        """Wait for what is being noted."""
        await asyncio.gather(*self._pending_writes, return_exceptions=True)

    @property
    def has_tokens(self) -> bool:
        """Is there a token that somebody could show?"""
        now = self._clock()
        return any(_is_valid(known, now) for known in self._by_hash.values())

    def holds(self, caller: Caller) -> bool:
        """Is the caller's token still good? True for who has shown none."""
        if caller.token_id is None:
            return True
        known = self._by_id.get(caller.token_id)
        return known is not None and _is_valid(known, self._clock())

    def authenticate(self, secret: str) -> Caller | None:
        """Whose token this is; None when it is nobody's, or nobody's any more."""
        known = self._find_active(secret)
        return None if known is None else self._record_use(known)

    def authenticate_session(self, session: str) -> Caller | None:
        """Who logged in; None when the session is over."""
        if len(session) > MAX_SECRET_CHARACTERS:
            return None
        hashed = _hash(session)
        known, until = self._sessions.get(hashed, (None, None))
        if known is None or until is None:
            return None
        now = self._clock()
        if until <= now or not _is_valid(known, now):
            return None
        return self._record_use(known)

    async def tokens(self) -> list[Token]:
        """Every token that there ever was."""
        return await self._store.all_tokens()

    async def create(
        self, name: str, role: Role, actor: str, lifetime: timedelta | None = None
    ) -> tuple[Token, str]:
        """Make a token; its secret is returned here, and kept nowhere.

        Raises InvalidTokenName, and TokenExists when the name was ever used.
        """
        if name in RESERVED_NAMES or not re.fullmatch(TOKEN_NAME, name):
            raise InvalidTokenName(
                f"A token cannot be named {name!r}: 1 to 64 letters, digits and . _ @ -, beginning "
                f"with a letter or a digit, and none of {', '.join(sorted(RESERVED_NAMES))}"
            )
        now = self._clock()
        secret = PREFIX + secrets.token_urlsafe(SECRET_BYTES)
        token = Token(
            token_id=secrets.token_hex(8),
            name=name,
            role=role,
            secret_hash=_hash(secret),
            created_at=timestamp(now),
            created_by=actor,
            expires_at=None if lifetime is None else timestamp(now + lifetime),
        )
        await self._store.create(token)
        self._activate(token)
        return token, secret

    async def create_first(self) -> tuple[Token, str]:
        """Make the token of an administrator, with a name that is free."""
        taken = {token.name for token in await self.tokens()}
        number = 1
        while (name := "admin" if number == 1 else f"admin-{number}") in taken:
            number += 1
        return await self.create(name, Role.ADMIN, "server")

    async def revoke(self, name: str, actor: str) -> None:
        """Take a token back, and with it its sessions. Raises TokenNotFound."""
        await self._store.revoke(name, timestamp(self._clock()), actor)
        for known in list(self._by_id.values()):
            if known.caller.name == name:
                del self._by_hash[known.secret_hash]
                del self._by_id[known.caller.token_id or ""]
        self._sessions = {
            hashed: (known, until)
            for hashed, (known, until) in self._sessions.items()
            if known.caller.name != name
        }

    async def log_in(self, secret: str) -> str | None:
        """Open a session for who shows a token; returns what the browser is to show from now on,
        or None when it is no token."""
        known = self._find_active(secret)
        if known is None or known.caller.token_id is None:
            return None
        self._record_use(known)
        now = self._clock()
        session = secrets.token_urlsafe(SECRET_BYTES)
        until = min(
            now + SESSION_LIFETIME, known.expires_at or datetime.max.replace(tzinfo=now.tzinfo)
        )
        kept = LoginSession(_hash(session), known.caller.token_id, timestamp(now), timestamp(until))
        await self._store.open_session(kept)
        if self._by_hash.get(known.secret_hash) is not known:  # revoked just now
            await self._store.close_session(kept.session_hash)
            return None
        self._sessions = {
            hashed: (each, end) for hashed, (each, end) in self._sessions.items() if end > now
        }
        self._sessions[kept.session_hash] = (known, until)
        await self._close_oldest_sessions(known)
        return session

    async def _close_oldest_sessions(self, known: _ActiveToken) -> None:
        """End the sessions of a token beyond its newest ``MAX_SESSIONS``."""
        own = [hashed for hashed, (each, _) in self._sessions.items() if each is known]
        ended = own[:-MAX_SESSIONS]
        for hashed in ended:
            del self._sessions[hashed]
        for hashed in ended:
            await self._store.close_session(hashed)

    async def log_out(self, session: str) -> None:
        """End a session; it does not matter whether it is one."""
        hashed = _hash(session)
        if self._sessions.pop(hashed, None) is not None:
            await self._store.close_session(hashed)

    def _find_active(self, secret: str) -> _ActiveToken | None:
        if len(secret) > MAX_SECRET_CHARACTERS:
            return None
        hashed = _hash(secret)
        known = self._by_hash.get(hashed)
        # What a dictionary compares are hashes, of which nobody can choose the beginning; the
        # comparison that counts takes the same time however much is equal.
        if known is None or not hmac.compare_digest(known.secret_hash, hashed):
            return None
        return known if _is_valid(known, self._clock()) else None

    def _activate(self, token: Token) -> None:
        until = token.expires_at
        known = _ActiveToken(
            token.secret_hash,
            Caller(token.name, token.role, token.token_id),
            None if until is None else datetime.fromisoformat(until),
        )
        self._by_hash[token.secret_hash] = self._by_id[token.token_id] = known

    def _record_use(self, known: _ActiveToken) -> Caller:
        """Have the use of a token noted, once a minute at most."""
        token_id = known.caller.token_id or ""
        now = self._clock()
        last = self._last_recorded.get(token_id)
        if last is None or now - last >= MIN_USE_INTERVAL:
            self._last_recorded[token_id] = now
            write = asyncio.create_task(
                self._write_use(token_id, timestamp(now)), name="note a token"
            )
            self._pending_writes.add(write)
            write.add_done_callback(self._pending_writes.discard)
            write.add_done_callback(log_failure)
        return known.caller

    async def _write_use(self, token_id: str, at: str) -> None:
        with suppress(StoreUnavailable):  # the next note will do
            await self._store.note_use(token_id, at)


def _hash(secret: str) -> str:
    return sha256(secret.encode(errors="surrogatepass")).hexdigest()


def _is_valid(known: _ActiveToken, now: datetime) -> bool:
    return known.expires_at is None or now < known.expires_at
