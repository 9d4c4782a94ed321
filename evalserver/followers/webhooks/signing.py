"""Signatures of the Standard Webhooks specification, with symmetric secrets."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence

PREFIX = "whsec_"
SECRET_BYTES = 32


def make_secret() -> str:
    """Return a new random secret."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def signature(keys: Sequence[str], message_id: str, timestamp: int, body: str) -> str:
    """Return the value of the header ``webhook-signature``: a signature with each of the secrets.

    ``timestamp`` is in seconds since 1970.
    """
    signed = f"{message_id}.{timestamp}.{body}".encode()
    return " ".join(f"v1,{_sign(key, signed)}" for key in keys)


def _sign(key: str, signed: bytes) -> str:
    raw = base64.b64decode(key.removeprefix(PREFIX))
    return base64.b64encode(hmac.new(raw, signed, hashlib.sha256).digest()).decode()
