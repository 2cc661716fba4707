"""API tokens: issue (shown once), list, revoke."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from bot_bottle.base.errors import UsageFault
from bot_bottle.web.api.operation import Empty, Nothing, Operation
from bot_bottle.web.desk import Desk
from bot_bottle.web.tokens import Token, Tokens

_DAY = 86400 * 1_000_000_000
Name = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[ -~]+$")]
Id = Annotated[str, Meta(pattern=r"^[0-9a-f]{16}$")]
ScopeName = Literal["read", "answer", "control", "admin"]


class TokenList(msgspec.Struct):
    """Newest first; revoked ones too."""

    items: list[Token]


class NewToken(msgspec.Struct, forbid_unknown_fields=True):
    """days: how long it lives, 0 for ever."""

    name: Name
    scopes: Annotated[tuple[ScopeName, ...], Meta(min_length=1, max_length=4)] = ("read",)
    days: Annotated[int, Meta(ge=0, le=3650)] = 90


class IssuedToken(msgspec.Struct):
    """token: the text, shown now and never again."""

    id: str
    token: str
    scopes: tuple[str, ...]
    expires: int


class TokenId(msgspec.Struct, forbid_unknown_fields=True):
    token: Id


def list_tokens(desk: Desk, _: Empty) -> TokenList:
    return TokenList(Tokens(desk.store).all())


def issue_token(desk: Desk, wish: NewToken) -> IssuedToken:
    """Recorded before it exists: a token that nobody knows of must not be."""
    now = desk.clock()
    desk.record("token issued", {"name": wish.name, "scopes": " ".join(wish.scopes)})
    token, text = Tokens(desk.store).issue(wish.name, wish.scopes, now, now + wish.days * _DAY if wish.days else 0)
    return IssuedToken(token.id, text, token.scopes, token.expires)


def revoke_token(desk: Desk, which: TokenId) -> Nothing:
    if not Tokens(desk.store).revoke(which.token, desk.clock()):
        raise UsageFault("token.unknown", "There is no such token, or it was revoked before.")
    desk.record("token revoked", {"token": which.token})
    return Nothing()


OPERATIONS = (
    Operation("listTokens", "GET", "/tokens", "API tokens, never their text", "admin", Empty, TokenList, list_tokens),
    Operation(
        "issueToken", "POST", "/tokens", "A new API token, shown once", "admin", NewToken, IssuedToken, issue_token,
        status=201, keeps=False,
    ),
    Operation(
        "revokeToken", "DELETE", "/tokens/{token}", "End a token at once", "admin", TokenId, Nothing, revoke_token,
        lane="safe",
    ),
)  # fmt: skip
