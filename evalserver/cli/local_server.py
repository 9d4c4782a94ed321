"""Changing the database of a data directory: by the server that owns it, or without one.

Only one process may write the database. If a server runs, it is asked through the socket in its
data directory; otherwise the command takes the lock of the data directory itself.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from evalserver.store import Store


def run_locked_or_ask(
    folder: Path,
    command: str,
    operation: Callable[["Store"], Awaitable[Any]],
    method: str,
    path: str,
    body: dict[str, Any] | None = None,
    timeout_s: float = 60,
) -> Any:
    """Run the operation here if no server runs, else send the request to the server.

    ``command`` names this process to a server that is started meanwhile. Raises ClickException when
    the server does not respond, or rejects the request.
    """
    import asyncio

    from evalserver.system.data_dir import DataDirTaken, lock_data_dir

    try:
        with lock_data_dir(folder, command):
            return asyncio.run(_with_store(folder, operation))
    except DataDirTaken as error:
        return _ask_server(folder, method, path, body, error, timeout_s)


async def _with_store(folder: Path, operation: Callable[["Store"], Awaitable[Any]]) -> Any:
    from evalserver.store import Store

    store = await Store.open(folder)
    try:
        return await operation(store)
    finally:
        await store.close()


def _ask_server(
    folder: Path,
    method: str,
    path: str,
    body: dict[str, Any] | None,
    taken: Exception,
    timeout_s: float,
) -> Any:
    """Return the response of the server, which ``taken`` names."""
    import httpx

    with _transport(folder) as transport, httpx.Client(transport=transport) as client:
        try:
            answer = client.request(method, f"http://localhost{path}", json=body, timeout=timeout_s)
        except httpx.TransportError as error:
            raise click.ClickException(
                f"{taken}; and it cannot be told: it does not answer at the socket in that"
                f" directory ({error})"
            ) from error
    said: dict[str, Any] = answer.json()
    if answer.is_error:
        faults = [f"{each['field']}: {each['message']}" for each in said.get("errors", [])]
        raise click.ClickException(" ".join(faults) or said["detail"])
    return said


@contextmanager
def _transport(folder: Path) -> Iterator[Any]:
    import ssl

    import httpx

    from evalserver.system.local_socket import short_path

    with short_path(folder) as path:
        # No TLS is spoken here, so that authorities are not looked for.
        yield httpx.HTTPTransport(uds=path, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
