"""Who gets in, by the settings: is the server open, what does its gate go by, what is its first
token."""

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
from evalserver.web.security.allowed_hosts import EVERY_ADDRESS, Hosts
from evalserver.web.security.authorization import AccessPolicy
from evalserver.web.security.proxies import Proxies
from evalserver.web.security.rate_limit import RateLimit

log = structlog.get_logger("evalserver")

DEFAULT_RATE = 50.0
"""Requests a second of one token or address, unless the settings say otherwise."""

NO_ACCESS_CONTROL_WARNING = """
*****************************************************************************************
  NO ACCESS CONTROL: EVERYBODY WHO REACHES {url}
  CAN RUN PROGRAMS ON THIS MACHINE AS ITS USER, since --auth is none.
  Leave --auth out to have tokens asked for.
*****************************************************************************************
"""

BOOTSTRAP_MESSAGE = """
This server asks for a token, and there was none. Here is one for its administrator. It is shown
this once and kept nowhere; 'evalserver token create' makes others.

  export EVALSERVER_TOKEN={token}

  {url}/login#token={token}

"""


def is_open(args: ServerArgs) -> bool:
    """Does the server ask nobody for a token?

    By itself only one that can be reached from its own machine alone: who names a proxy, or further
    names of the server, means to let others in.
    """
    if args.auth == "auto":
        return is_loopback(args.host) and not args.trusted_proxy and not args.allowed_host
    return args.auth == "none"


def make_access_policy(args: ServerArgs) -> AccessPolicy:
    """What the gate goes by."""
    local = is_loopback(args.host) and not args.trusted_proxy
    rate = (0.0 if local else DEFAULT_RATE) if args.rate_limit is None else args.rate_limit
    return AccessPolicy(
        is_open(args),
        Hosts(args.host, args.allowed_host),
        Proxies(args.trusted_proxy),
        RateLimit(rate),
        local_only=args.auth == "auto" and is_open(args),
    )


def server_url(args: ServerArgs) -> str:
    """How clients on this machine call the server."""
    return url(args.host, args.port, secure=args.tls_cert is not None)


def warn_if_insecure(args: ServerArgs) -> None:
    """Warn where everybody on a network may do everything."""
    if os.geteuid() == 0:
        log.warning("running as root: so does every evaluation; give the server a user of its own")
    if is_open(args) and not is_loopback(args.host):
        print(NO_ACCESS_CONTROL_WARNING.format(url=server_url(args)), file=sys.stderr, flush=True)
        log.warning(
            "EVERYBODY CAN RUN PROGRAMS ON THIS MACHINE: --auth is none", url=server_url(args)
        )


def secure_data_dir(data_dir: Path, args: ServerArgs) -> None:
    """Make the folders of the data directory private.

    Raises InsecurePermissions if the database is not, and tokens are asked for.
    """
    if not is_open(args):
        check_private(data_dir / DATABASE_NAME)
    for name in ("runs", OUTPUTS):
        make_private(data_dir / name)


async def bootstrap_admin_token(access: Access, args: ServerArgs) -> None:
    """Make a token, and print it, if the server asks for one and there is none."""
    if is_open(args) or access.has_tokens:
        return
    _, secret = await access.create_first()
    host = socket.gethostname() if args.host in EVERY_ADDRESS else args.host
    called = url(host, args.port, secure=args.tls_cert is not None)
    print(BOOTSTRAP_MESSAGE.format(token=secret, url=called), file=sys.stderr, flush=True)
