"""Tokens and login sessions in the memory of a server."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from evalserver.auth.access import MAX_SESSIONS, SESSION_LIFETIME, Access
from evalserver.core.roles import Role
from evalserver.store import Store


async def log_in_concurrently(access: Access, name: str, times: int) -> list[str]:
    """Create a token, log in concurrently this many times, and return the sessions."""
    _, secret = await access.create(name, Role.VIEWER, "test")
    opened = await asyncio.gather(*(access.log_in(secret) for _ in range(times)))
    return [session for session in opened if session is not None]


async def test_only_the_newest_sessions_of_a_token_are_kept(store: Store) -> None:
    access = Access(store.tokens)
    sessions = await log_in_concurrently(access, "anna", MAX_SESSIONS + 15)

    held = [session for session in sessions if access.authenticate_session(session) is not None]
    kept = await store.tokens.all_sessions()
    await access.close()

    assert (held, len(kept)) == (sessions[-MAX_SESSIONS:], MAX_SESSIONS)


async def test_the_sessions_of_another_token_are_not_affected(store: Store) -> None:
    access = Access(store.tokens)
    [session] = await log_in_concurrently(access, "anna", 1)
    await log_in_concurrently(access, "ben", MAX_SESSIONS + 5)

    caller = access.authenticate_session(session)
    await access.close()

    assert caller is not None
    assert caller.name == "anna"


class Clock:
    """A clock that only advances when a test sets it."""

    def __init__(self) -> None:
        self.now = datetime(2030, 1, 2, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock under the test's control."""
    return Clock()


@pytest.fixture
async def access(store: Store, clock: Clock) -> AsyncIterator[Access]:
    """The access control of a store without tokens."""
    access = Access(store.tokens, clock)
    await access.load()
    yield access
    await access.close()


async def test_a_session_is_valid_until_it_expires(access: Access, clock: Clock) -> None:
    _, secret = await access.create("alice", Role.VIEWER, "operator")
    session = await access.log_in(secret)
    assert session is not None

    clock.now += SESSION_LIFETIME - timedelta(seconds=1)
    before = access.authenticate_session(session)
    clock.now += timedelta(seconds=1)

    assert before is not None
    assert access.authenticate_session(session) is None


async def test_a_session_ends_with_its_token(access: Access, clock: Clock) -> None:
    _, secret = await access.create("alice", Role.VIEWER, "operator", timedelta(hours=1))
    session = await access.log_in(secret)
    assert session is not None

    clock.now += timedelta(hours=1)

    assert access.authenticate_session(session) is None


async def test_a_token_that_is_revoked_during_a_login_opens_no_session(access: Access) -> None:
    _, secret = await access.create("alice", Role.VIEWER, "operator")

    _, session = await asyncio.gather(access.revoke("alice", "operator"), access.log_in(secret))

    assert session is None
