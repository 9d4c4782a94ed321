"""Tokens as the rest of the server sees them: commands and queries, no SQL."""

from evalserver.store import tokens
from evalserver.store.readers import Readers
from evalserver.store.tokens import LoginSession, Token
from evalserver.store.writer import Writer


class TokenStore:
    """The part of a store that is about tokens; every command returns once it is durable.

    Commands raise StoreUnavailable, having changed nothing, when the database cannot be written.
    """

    def __init__(self, writer: Writer, readers: Readers) -> None:
        self._writer = writer
        self._readers = readers

    async def create(self, token: Token) -> None:
        """Keep a new token. Raises TokenExists when its name was ever used."""
        await self._writer.run(lambda tx: tokens.create(tx, token))

    async def revoke(self, name: str, at: str, actor: str) -> None:
        """Revoke a token, and end its sessions. Raises TokenNotFound."""
        await self._writer.run(lambda tx: tokens.revoke(tx, name, at, actor))

    async def note_use(self, token_id: str, at: str) -> None:
        """Note when a token was used last."""
        await self._writer.run(lambda tx: tokens.note_use(tx, token_id, at))

    async def open_session(self, session: LoginSession) -> None:
        """Keep a session."""
        await self._writer.run(lambda tx: tokens.open_session(tx, session))

    async def close_session(self, session_hash: str) -> None:
        """Forget a session."""
        await self._writer.run(lambda tx: tokens.close_session(tx, session_hash))

    async def all_tokens(self) -> list[Token]:
        """Every token that there ever was, in the order of their names."""
        return await tokens.all_tokens(self._readers)

    async def all_sessions(self) -> list[LoginSession]:
        """Every session that is kept; some may be over."""
        return await tokens.all_sessions(self._readers)
