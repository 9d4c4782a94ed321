"""Tokens, and the sessions of browsers that logged in with one. Secrets are stored as hashes only.

A name belongs to one token forever, even after it was revoked: the audit log identifies actors by
it.
"""

import sqlite3
from dataclasses import dataclass

from evalserver.core.roles import Role
from evalserver.store.errors import TokenExists, TokenNotFound
from evalserver.store.readers import Readers
from evalserver.store.transaction import Row, Transaction


@dataclass(frozen=True)
class Token:
    """A token's record. Times are ISO 8601 text in UTC."""

    token_id: str
    name: str
    role: Role
    secret_hash: str
    created_at: str
    created_by: str
    expires_at: str | None = None
    revoked_at: str | None = None
    revoked_by: str | None = None
    last_used_at: str | None = None


@dataclass(frozen=True)
class LoginSession:
    """A browser's session, used in place of the token that it logged in with."""

    session_hash: str
    token_id: str
    created_at: str
    expires_at: str


def create(tx: Transaction, token: Token) -> None:
    """Keep a new token. Raises TokenExists when its name was ever used."""
    if tx.execute("SELECT 1 FROM tokens WHERE name = :name", {"name": token.name}):
        raise TokenExists(
            f"There is, or was, a token named {token.name}; a name is never used again, since the "
            "audit log says by it who did what"
        )
    tx.execute(
        """
        INSERT INTO tokens (token_id, name, role, secret_hash, created_at, created_by, expires_at)
        VALUES (:token_id, :name, :role, :secret_hash, :created_at, :created_by, :expires_at)
        """,
        {
            "token_id": token.token_id,
            "name": token.name,
            "role": token.role.value,
            "secret_hash": token.secret_hash,
            "created_at": token.created_at,
            "created_by": token.created_by,
            "expires_at": token.expires_at,
        },
    )


def revoke(tx: Transaction, name: str, at: str, actor: str) -> None:
    """Revoke a token, and end its sessions; a repeated call changes nothing.

    Raises TokenNotFound.
    """
    rows = tx.execute("SELECT token_id FROM tokens WHERE name = :name", {"name": name})
    if not rows:
        raise TokenNotFound(f"There is no token named {name}; evalserver token list shows all")
    tx.execute(
        "UPDATE tokens SET revoked_at = :at, revoked_by = :actor"
        " WHERE name = :name AND revoked_at IS NULL",
        {"name": name, "at": at, "actor": actor},
    )
    tx.execute(
        "DELETE FROM login_sessions WHERE token_id = :token_id", {"token_id": rows[0]["token_id"]}
    )


def note_use(tx: Transaction, token_id: str, at: str) -> None:
    """Note when a token was used last."""
    tx.execute(
        "UPDATE tokens SET last_used_at = :at WHERE token_id = :token_id",
        {"token_id": token_id, "at": at},
    )


def open_session(tx: Transaction, session: LoginSession) -> None:
    """Keep a session, and forget those that are over."""
    tx.execute("DELETE FROM login_sessions WHERE expires_at <= :now", {"now": session.created_at})
    tx.execute(
        """
        INSERT INTO login_sessions (session_hash, token_id, created_at, expires_at)
        VALUES (:session_hash, :token_id, :created_at, :expires_at)
        """,
        vars(session),
    )


def close_session(tx: Transaction, session_hash: str) -> None:
    """Forget a session."""
    tx.execute(
        "DELETE FROM login_sessions WHERE session_hash = :session_hash",
        {"session_hash": session_hash},
    )


async def all_tokens(readers: Readers) -> list[Token]:
    """Every token that there ever was, in the order of their names."""
    return [token_of(row) for row in await readers.fetch("SELECT * FROM tokens ORDER BY name")]


async def all_sessions(readers: Readers) -> list[LoginSession]:
    """Every session that is kept, the oldest first; some may be over."""
    rows = await readers.fetch(
        "SELECT session_hash, token_id, created_at, expires_at FROM login_sessions"
        " ORDER BY created_at"
    )
    return [LoginSession(**dict(row)) for row in rows]


def tokens_in(connection: sqlite3.Connection) -> list[Token]:
    """Every token in a database that was opened for reading, in the order of their names."""
    return [token_of(row) for row in connection.execute("SELECT * FROM tokens ORDER BY name")]


def token_of(row: Row) -> Token:
    """The token in a row of ``tokens``."""
    return Token(**{**dict(row), "role": Role(row["role"])})
