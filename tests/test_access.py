"""Tokens and login sessions, as a server holds them."""

import asyncio

from evalserver.access import MAX_SESSIONS, Access
from evalserver.roles import Role
from evalserver.store import Store


async def logged_in(access: Access, name: str, times: int) -> list[str]:
    """The sessions of a new token that logs in so often at a time."""
    _, secret = await access.create(name, Role.VIEWER, "test")
    opened = await asyncio.gather(*(access.log_in(secret) for _ in range(times)))
    return [session for session in opened if session is not None]


async def test_a_token_keeps_its_newest_sessions_and_the_store_no_others(store: Store) -> None:
    access = Access(store.tokens)
    sessions = await logged_in(access, "anna", MAX_SESSIONS + 15)

    held = [session for session in sessions if access.caller_of_session(session) is not None]
    kept = await store.tokens.all_sessions()
    await access.close()

    assert (held, len(kept)) == (sessions[-MAX_SESSIONS:], MAX_SESSIONS)


async def test_the_sessions_of_another_token_are_left_alone(store: Store) -> None:
    access = Access(store.tokens)
    [session] = await logged_in(access, "anna", 1)
    await logged_in(access, "ben", MAX_SESSIONS + 5)

    caller = access.caller_of_session(session)
    await access.close()

    assert caller is not None
    assert caller.name == "anna"
