"""Asking the server that owns a data directory, by the socket in that directory."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click


def ask_server(
    folder: Path,
    method: str,
    path: str,
    body: dict[str, Any] | None,
    taken: Exception,
    timeout_s: float = 60,
) -> Any:
    """What the server of a data directory answers by the socket there.

    ``taken`` says which server that is. Raises ClickException when it does not answer, or refuses.
    """
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
