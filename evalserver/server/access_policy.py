"""Access control from the settings: whether the server is open, its policy, its first token."""

import os
import socket
import sys
from pathlib import Path

import structlog

from evalserver.auth.access import Access
from evalserver.settings.server_args import ServerArgs
from evalserver.store import DATABASE_NAME
from evalserver.system.allowed_directories import OUTPUTS
from evalserver.system.permissions import check_private, make_private
from evalserver.system.sockets import is_loopback, url
from evalserver.web.security.allowed_hosts import WILDCARD_ADDRESSES, AllowedHosts
from evalserver.web.security.authorization import AccessPolicy
from evalserver.web.security.proxies import TrustedProxies
from evalserver.web.security.rate_limit import RateLimit

log = structlog.get_logger("evalserver")

DEFAULT_RATE = 50.0
"""Requests per second of one token or address, by default."""

NO_ACCESS_CONTROL_WARNING = """
*****************************************************************************************
  NO ACCESS CONTROL: ANY CLIENT THAT CAN REACH {url}
  CAN RUN PROGRAMS ON THIS MACHINE AS THE SERVER'S USER, since --auth is none.
  Remove --auth to require tokens.
*****************************************************************************************
"""

BOOTSTRAP_MESSAGE = """
This server requires tokens, and there was none. This is a new token of the role admin. It is shown
only once, and not stored. 'evalserver token create' creates further tokens.

  export EVALSERVER_TOKEN={token}

  {url}/login#token={token}

"""


def is_open(args: ServerArgs) -> bool:
    """Return whether the server requires no tokens.

    With ``--auth auto``, only a server on loopback is open, unless trusted proxies or allowed hosts
    are configured, which suggest that other machines are to have access.
    """
    if args.auth == "auto":
        return is_loopback(args.host) and not args.trusted_proxy and not args.allowed_host
    return args.auth == "none"


def make_access_policy(args: ServerArgs) -> AccessPolicy:
    """Build the access policy from the settings."""
    local = is_loopback(args.host) and not args.trusted_proxy
    rate = (0.0 if local else DEFAULT_RATE) if args.rate_limit is None else args.rate_limit
    return AccessPolicy(
        is_open(args),
        AllowedHosts(args.host, args.allowed_host),
        TrustedProxies(args.trusted_proxy),
        RateLimit(rate),
        local_only=args.auth == "auto" and is_open(args),
    )


def server_url(args: ServerArgs) -> str:
    """Return the URL of the server for clients on this machine."""
    return url(args.host, args.port, secure=args.tls_cert is not None)


def warn_if_insecure(args: ServerArgs) -> None:
    """Warn if the server runs as root, or is open to a network."""
    if os.geteuid() == 0:
        log.warning("the server and all evaluations run as root; run it as a user of its own")
    if is_open(args) and not is_loopback(args.host):
        print(NO_ACCESS_CONTROL_WARNING.format(url=server_url(args)), file=sys.stderr, flush=True)
        log.warning(
            "ANY CLIENT CAN RUN PROGRAMS ON THIS MACHINE: --auth is none", url=server_url(args)
        )


def secure_data_dir(data_dir: Path, args: ServerArgs) -> None:
    """Make the subdirectories of the data directory private.

    Raises InsecurePermissions if tokens are required but the database is not private.
    """
    if not is_open(args):
        check_private(data_dir / DATABASE_NAME)
    for name in ("runs", OUTPUTS):
        make_private(data_dir / name)


async def bootstrap_admin_token(access: Access, args: ServerArgs) -> None:
    """Create and print an admin token if the server requires tokens and there is none."""
    if is_open(args) or access.has_tokens:
        return
    _, secret = await access.create_first()
    host = socket.gethostname() if args.host in WILDCARD_ADDRESSES else args.host
    called = url(host, args.port, secure=args.tls_cert is not None)
    print(BOOTSTRAP_MESSAGE.format(token=secret, url=called), file=sys.stderr, flush=True)
