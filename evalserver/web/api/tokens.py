"""Tokens: made, listed and taken back by administrators."""

from datetime import timedelta
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

import structlog
from aiohttp import web
from marshmallow import fields

from evalserver.auth.access import Caller, InvalidTokenName
from evalserver.core.roles import Role
from evalserver.store import Token
from evalserver.web.http.errors import BadRequest, FieldError
from evalserver.web.http.responses import json_response
from evalserver.web.keys import BODY
from evalserver.web.schemas.fields import Seconds, about
from evalserver.web.schemas.queries import StrictSchema
from evalserver.web.schemas.request_fields import RoleName, TokenName
from evalserver.web.schemas.responses import ResponseSchema, Time
from evalserver.web.security.authorization import ACCESS, CALLER

log = structlog.get_logger("evalserver.web")

EXAMPLE = MappingProxyType(
    {
        "name": "alice",
        "role": "submitter",
        "created_at": "2026-11-24T09:30:00.000Z",
        "created_by": "operator",
        "expires_at": None,
        "revoked_at": None,
        "revoked_by": None,
        "last_used_at": None,
    }
)


class NewTokenSchema(StrictSchema):
    """A token that is to be made."""

    EXAMPLE = MappingProxyType({"name": "alice", "role": "submitter", "expires_in_s": 7_776_000})

    name = TokenName(required=True, longest=64, metadata=about("Whose it is, for the audit log."))
    role = RoleName(required=True, metadata=about("What it allows."))
    expires_in_s = Seconds(metadata=about("Seconds for which it holds; for ever if absent."))


class TokenSchema(ResponseSchema):
    """A token, without its secret."""

    EXAMPLE = EXAMPLE

    name = fields.String()
    role = fields.Enum(Role, by_value=fields.String)
    created_at = Time()
    created_by = fields.String()
    expires_at = Time(allow_none=True)
    revoked_at = Time(allow_none=True)
    revoked_by = fields.String(allow_none=True)
    last_used_at = Time(allow_none=True, metadata=about("To the minute."))


class MadeTokenSchema(TokenSchema):
    """A token that was just made, with its secret, which nobody is shown again."""

    EXAMPLE = MappingProxyType({**EXAMPLE, "token": "evs_..."})

    token = fields.String(metadata=about("The secret: shown now, and never again."))


class TokensSchema(ResponseSchema):
    """Every token that there ever was."""

    EXAMPLE = MappingProxyType({"tokens": [dict(EXAMPLE)]})

    tokens = fields.List(fields.Nested(TokenSchema))


async def get_tokens(request: web.Request) -> web.Response:
    """``GET /tokens``: every token that there ever was, without the secrets."""
    _administrator(request)
    return json_response({"tokens": [_told(each) for each in await request.app[ACCESS].tokens()]})


async def create_token(request: web.Request) -> web.Response:
    """``POST /tokens``: make a token; its secret is in this answer alone."""
    actor = _administrator(request)
    wanted = request[BODY]
    seconds = wanted.get("expires_in_s")
    lifetime = None if seconds is None else timedelta(seconds=seconds)
    try:
        token, secret = await request.app[ACCESS].create(
            wanted["name"], Role(wanted["role"]), actor.name, lifetime
        )
    except InvalidTokenName as error:
        fault = FieldError("name", str(error))
        raise BadRequest(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), (fault,)) from None
    log.info("token made", name=token.name, role=token.role.value, by=actor.name)
    answer = json_response({**_told(token), "token": secret})
    answer.headers["Cache-Control"] = "no-store"
    return answer


async def revoke_token(request: web.Request) -> web.Response:
    """``DELETE /tokens/{name}``: take a token back; it is worth nothing from now on."""
    actor = _administrator(request)
    name = request.match_info["name"]
    await request.app[ACCESS].revoke(name, actor.name)
    log.info("token revoked", name=name, by=actor.name)
    return json_response({"message": f"Token {name} revoked"})


def _administrator(request: web.Request) -> Caller:
    """The caller, who must have proven to be one: a server that is open today may not be so
    tomorrow, and a token that was made today would be good then."""
    caller = request[CALLER]
    if caller.role is not Role.ADMIN:
        raise BadRequest(
            HTTPStatus.FORBIDDEN,
            "Tokens are the business of who shows a token of the role admin, or uses 'evalserver"
            " token' where the server runs",
        )
    return caller


def _told(token: Token) -> dict[str, Any]:
    return {name: getattr(token, name) for name in TokenSchema().fields}
