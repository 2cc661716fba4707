"""One operation of the API: a typed function with a desk. Routes, OpenAPI and pages are made from this alone."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import msgspec

from bot_bottle.web.api.fit import fit
from bot_bottle.web.desk import Desk

T = TypeVar("T", bound=msgspec.Struct)
R = TypeVar("R")
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Scope = Literal["read", "answer", "control", "admin"]
Lane = Literal["", "safe", "slow"]


class Empty(msgspec.Struct, forbid_unknown_fields=True):
    """Takes nothing."""


class Nothing(msgspec.Struct):
    """Gives nothing: 204."""


@dataclass(frozen=True)
class Download:
    """Gives a file. pieces: its bytes; an error amid them cuts the connection, so that no half file looks whole."""

    pieces: Iterator[bytes]
    media_type: str
    filename: str


@dataclass(frozen=True)
class Operation(Generic[T, R]):
    """name: unique, ``listAsks``. path: below /api/v1, ``/asks/{ask}``; each name in braces is a field of `takes`.

    The other fields of `takes` come from the query (GET, DELETE) or from the JSON body. gives: Nothing for 204.
    scope: read | answer | control | admin; also: a second one that it takes. keeps: a repeated Idempotency-Key gives
    the first answer again; False where that answer holds a secret and is therefore not kept: then a repeat is refused
    with 409. joins: it finds by itself what an earlier request with the same key began, so a repeat is not refused
    while that one is under way. lane: whose threads do it: safe what takes power away from a bottle or a person, slow
    what may take long.
    """

    name: str
    method: Method
    path: str
    summary: str
    scope: Scope
    takes: type[T]
    gives: type[R]
    call: Callable[[Desk, T], R]
    status: int = 200
    keeps: bool = True
    joins: bool = False
    lane: Lane = ""
    description: str = ""
    also: Scope | Literal[""] = ""

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """All that it takes."""
        return (self.scope, self.also) if self.also else (self.scope,)

    @property
    def in_path(self) -> tuple[str, ...]:
        parts = [part for part in self.path.split("/") if part.startswith("{")]
        return tuple(part.strip("{}") for part in parts)

    @property
    def has_body(self) -> bool:
        return self.method in ("POST", "PUT", "PATCH") and bool(self.in_body)

    @property
    def in_body(self) -> tuple[msgspec.structs.FieldInfo, ...]:
        return tuple(f for f in msgspec.structs.fields(self.takes) if f.encode_name not in self.in_path)


def fill(operation: Operation[T, Any], values: dict[str, Any]) -> T:
    """The input of an operation from a form's texts. Raises WebFault 422 that names every field that does not fit."""
    return fit(operation.takes, values)
