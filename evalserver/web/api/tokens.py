"""Tokens: create, list and revoke, for administrators."""

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
    """A token to create."""

    EXAMPLE = MappingProxyType({"name": "alice", "role": "submitter", "expires_in_s": 7_776_000})

    name = TokenName(required=True, longest=64, metadata=about("The owner, for the audit log."))
    role = RoleName(required=True, metadata=about("The role of its owner."))
    expires_in_s = Seconds(metadata=about("Seconds until it expires; never if absent."))


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
    last_used_at = Time(allow_none=True, metadata=about("Precise to the minute."))


class MadeTokenSchema(TokenSchema):
    """A new token with its secret, which is shown only once."""

    EXAMPLE = MappingProxyType({**EXAMPLE, "token": "evs_..."})

    token = fields.String(metadata=about("The secret, which is shown only once."))


class TokensSchema(ResponseSchema):
    """All tokens, including revoked and expired ones."""

    EXAMPLE = MappingProxyType({"tokens": [dict(EXAMPLE)]})

    tokens = fields.List(fields.Nested(TokenSchema))


async def get_tokens(request: web.Request) -> web.Response:
    """``GET /tokens``: list all tokens, including revoked and expired ones, without secrets."""
    _require_admin(request)
    return json_response(
        {"tokens": [_token_json(each) for each in await request.app[ACCESS].tokens()]}
    )


async def create_token(request: web.Request) -> web.Response:
    """``POST /tokens``: create a token; only this response contains its secret."""
    actor = _require_admin(request)
    body = request[BODY]
    seconds = body.get("expires_in_s")
    lifetime = None if seconds is None else timedelta(seconds=seconds)
    try:
        token, secret = await request.app[ACCESS].create(
            body["name"], Role(body["role"]), actor.name, lifetime
        )
    except InvalidTokenName as error:
        fault = FieldError("name", str(error))
        raise BadRequest(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), (fault,)) from None
    log.info("token created", name=token.name, role=token.role.value, by=actor.name)
    answer = json_response({**_token_json(token), "token": secret})
    answer.headers["Cache-Control"] = "no-store"
    return answer


async def revoke_token(request: web.Request) -> web.Response:
    """``DELETE /tokens/{name}``: revoke a token, with immediate effect."""
    actor = _require_admin(request)
    name = request.match_info["name"]
    await request.app[ACCESS].revoke(name, actor.name)
    log.info("token revoked", name=name, by=actor.name)
    return json_response({"message": f"Token {name} revoked"})


def _require_admin(request: web.Request) -> Caller:
    """Return the caller, who must have an admin token even if the server is open.

    Otherwise, any caller of an open server could create a token that stays valid when the server
    later requires tokens.
    """
    caller = request[CALLER]
    if caller.role is not Role.ADMIN:
        raise BadRequest(
            HTTPStatus.FORBIDDEN,
            "Managing tokens requires a token of the role admin, or 'evalserver token' on the"
            " server's machine",
        )
    return caller


def _token_json(token: Token) -> dict[str, Any]:
    return {name: getattr(token, name) for name in TokenSchema().fields}
