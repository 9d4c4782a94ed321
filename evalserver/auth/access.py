"""Tokens and login sessions: an in-memory copy of those in the store.

Only the server that owns the data directory changes them, so the copy is always current, and a
request costs one hash and one dictionary lookup. Secrets are long and random, so an unsalted hash
is safe.
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

TOKEN_PREFIX = "evs_"  # noqa: S105 - not a secret
SECRET_BYTES = 32
MAX_SECRET_CHARACTERS = 128
"""Longer texts are rejected as tokens without hashing them."""

TOKEN_NAME = r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}"  # noqa: S105 - a pattern of names

ANONYMOUS = "anonymous"
"""The name of callers without a token on an open server."""
OPERATOR = "operator"
"""The name of the owner of the data directory, who needs no token."""
RESERVED_NAMES = frozenset({ANONYMOUS, OPERATOR, "server"})
"""Names with a meaning of their own in the audit log."""

MIN_USE_INTERVAL = timedelta(minutes=1)
"""The minimum time between two writes of a token's last use."""
SESSION_LIFETIME = timedelta(days=7)
MAX_SESSIONS = 20
"""Maximum sessions of one token; a further login ends the oldest one."""


class InvalidTokenName(Exception):
    """The name of a token is invalid; says which names are allowed."""


@dataclass(frozen=True)
class Caller:
    """The sender of a request. ``token_id`` is None for a caller without a token."""

    name: str
    role: Role
    token_id: str | None = None


@dataclass(frozen=True)
class _ActiveToken:
    """A token that is not revoked; it may have expired."""

    secret_hash: str
    caller: Caller
    expires_at: datetime | None


class Access:
    """The tokens and sessions of one server. Must be loaded first, and closed at the end."""

    def __init__(self, store: TokenStore, clock: Clock = utc_now) -> None:
        self._store = store
        self._clock = clock
        self._by_hash: dict[str, _ActiveToken] = {}
        self._by_id: dict[str, _ActiveToken] = {}
        self._sessions: dict[str, tuple[_ActiveToken, datetime]] = {}
        self._last_recorded: dict[str, datetime] = {}
        self._pending_writes: set[asyncio.Task[None]] = set()

    async def load(self) -> None:
        """Load tokens and sessions from the store."""
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
        """Wait for pending writes."""
        await asyncio.gather(*self._pending_writes, return_exceptions=True)

    @property
    def has_tokens(self) -> bool:
        """Whether there is a valid token."""
        now = self._clock()
        return any(_is_unexpired(known, now) for known in self._by_hash.values())

    def is_valid(self, caller: Caller) -> bool:
        """Return whether the caller's token is still valid; True for a caller without a token."""
        if caller.token_id is None:
            return True
        known = self._by_id.get(caller.token_id)
        return known is not None and _is_unexpired(known, self._clock())

    def authenticate(self, secret: str) -> Caller | None:
        """Return the owner of a token; None if it is unknown, revoked or expired."""
        known = self._find_active(secret)
        return None if known is None else self._record_use(known)

    def authenticate_session(self, session: str) -> Caller | None:
        """Return the owner of a login session; None if it is unknown or has ended."""
        if len(session) > MAX_SECRET_CHARACTERS:
            return None
        hashed = _hash(session)
        known, until = self._sessions.get(hashed, (None, None))
        if known is None or until is None:
            return None
        now = self._clock()
        if until <= now or not _is_unexpired(known, now):
            return None
        return self._record_use(known)

    async def tokens(self) -> list[Token]:
        """Return all tokens, including revoked and expired ones."""
        return await self._store.all_tokens()

    async def create(
        self, name: str, role: Role, actor: str, lifetime: timedelta | None = None
    ) -> tuple[Token, str]:
        """Create a token, and return it with its secret, which is not stored.

        Raises InvalidTokenName, and TokenExists if the name was ever used.
        """
        if name in RESERVED_NAMES or not re.fullmatch(TOKEN_NAME, name):
            raise InvalidTokenName(
                f"Invalid token name {name!r}: must be 1 to 64 letters, digits and . _ @ -, begin "
                f"with a letter or digit, and be none of {', '.join(sorted(RESERVED_NAMES))}"
            )
        now = self._clock()
        secret = TOKEN_PREFIX + secrets.token_urlsafe(SECRET_BYTES)
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
        """Create an admin token with an unused name, and return it with its secret."""
        taken = {token.name for token in await self.tokens()}
        number = 1
        while (name := "admin" if number == 1 else f"admin-{number}") in taken:
            number += 1
        return await self.create(name, Role.ADMIN, "server")

    async def revoke(self, name: str, actor: str) -> None:
        """Revoke a token, and end its sessions. Raises TokenNotFound."""
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
        """Open a session for the owner of a token, and return the session's secret.

        None if the token is not valid.
        """
        known = self._find_active(secret)
        if known is None or known.caller.token_id is None:
            return None
        self._record_use(known)
        now = self._clock()
        session = secrets.token_urlsafe(SECRET_BYTES)
        until = min(
            now + SESSION_LIFETIME, known.expires_at or datetime.max.replace(tzinfo=now.tzinfo)
        )
        record = LoginSession(
            _hash(session), known.caller.token_id, timestamp(now), timestamp(until)
        )
        await self._store.open_session(record)
        if self._by_hash.get(known.secret_hash) is not known:  # revoked meanwhile
            await self._store.close_session(record.session_hash)
            return None
        self._sessions = {
            hashed: (each, end) for hashed, (each, end) in self._sessions.items() if end > now
        }
        self._sessions[record.session_hash] = (known, until)
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
        """End a session; does nothing if there is none."""
        hashed = _hash(session)
        if self._sessions.pop(hashed, None) is not None:
            await self._store.close_session(hashed)

    def _find_active(self, secret: str) -> _ActiveToken | None:
        if len(secret) > MAX_SECRET_CHARACTERS:
            return None
        hashed = _hash(secret)
        known = self._by_hash.get(hashed)
        # The dictionary lookup compares hashes, whose prefix an attacker cannot choose; the final
        # comparison takes constant time.
        if known is None or not hmac.compare_digest(known.secret_hash, hashed):
            return None
        return known if _is_unexpired(known, self._clock()) else None

    def _activate(self, token: Token) -> None:
        until = token.expires_at
        known = _ActiveToken(
            token.secret_hash,
            Caller(token.name, token.role, token.token_id),
            None if until is None else datetime.fromisoformat(until),
        )
        self._by_hash[token.secret_hash] = self._by_id[token.token_id] = known

    def _record_use(self, known: _ActiveToken) -> Caller:
        """Write the last use of a token, at most once per ``MIN_USE_INTERVAL``."""
        token_id = known.caller.token_id or ""
        now = self._clock()
        last = self._last_recorded.get(token_id)
        if last is None or now - last >= MIN_USE_INTERVAL:
            self._last_recorded[token_id] = now
            write = asyncio.create_task(
                self._write_use(token_id, timestamp(now)), name="record the use of a token"
            )
            self._pending_writes.add(write)
            write.add_done_callback(self._pending_writes.discard)
            write.add_done_callback(log_failure)
        return known.caller

    async def _write_use(self, token_id: str, at: str) -> None:
        with suppress(StoreUnavailable):  # the next use is written
            await self._store.note_use(token_id, at)


def _hash(secret: str) -> str:
    return sha256(secret.encode(errors="surrogatepass")).hexdigest()


def _is_unexpired(known: _ActiveToken, now: datetime) -> bool:
    return known.expires_at is None or now < known.expires_at
