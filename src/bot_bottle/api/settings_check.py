"""Compares the tables of `settings.toml` with their structs and notes everything that does not fit, with its line."""

import difflib
from collections.abc import Mapping
from typing import Any, Protocol, TypeVar, cast, get_args

import msgspec
from msgspec import structs

from bot_bottle.api.toml_lines import Path, line_of, lines
from bot_bottle.audit.formats.registry import LINES
from bot_bottle.base.errors import Problem
from bot_bottle.base.ids import is_name
from bot_bottle.base.sizes import duration
from bot_bottle.base.text import visible

S = TypeVar("S", bound=msgspec.Struct)
_DURATIONS = ("after", "every", "settle")


class Kind(Protocol):
    """A SinkKind or a NotifierKind."""

    @property
    def config(self) -> type[Any]: ...

    @property
    def problems(self) -> Any: ...


class Check:
    """One pass over one file. problems: what was found so far."""

    def __init__(self, file: str, text: str) -> None:
        self.problems: list[Problem] = []
        self._file = file
        self._lines = lines(text)

    def add(self, slug: str, path: Path, what: str, hint: str = "") -> None:
        """Notes one problem at a key or a table."""
        where = ".".join(visible(part, 80) for part in path)
        line = line_of(self._lines, path)
        self.problems.append(Problem(f"settings.{slug}", f"{where} {what}", self._file, line, hint))

    def keys(self, table: Mapping[str, object], known: tuple[str, ...], path: Path) -> None:
        """Keys that do not exist, with the nearest one that does."""
        for key in table:
            if key not in known:
                self.add("unknown-key", (*path, key), "is not known", nearest(key, known))

    def kinds(self, table: object, known: Mapping[str, Kind], path: Path) -> dict[str, Any]:
        """``[sink.NAME]`` or ``[notify.NAME]``: name -> config of its kind."""
        found: dict[str, Any] = {}
        for name, value in self._table(table, path).items():
            here = (*path, name)
            if not is_name(name):
                self.add("bad-name", here, "is no name", "lower case letters, digits and hyphens")
            table = self._table(value, here)
            config = self._kind(table, known, here) if isinstance(value, dict) else None
            if config is not None:
                found[name] = config
        return found

    def _kind(self, table: dict[str, Any], known: Mapping[str, Kind], path: Path) -> Any:
        kind = table.get("kind")
        if kind is None:
            self.add("missing-key", path, "has no kind", f"one of {', '.join(known)}")
            return None
        if kind not in known:
            what = f"is {visible(str(kind), 40)}, which does not exist"
            hint = nearest(str(kind), tuple(known)) or f"one of {', '.join(known)}"
            self.add("bad-value", (*path, "kind"), what, hint)
            return None
        rest = {key: value for key, value in table.items() if key != "kind"}
        config = self.struct(rest, known[kind].config, path, ("kind",))
        if config is not None:
            for field, what in known[kind].problems(config):
                self.add("bad-value", (*path, field), what)
        return config

    def struct(self, table: object, kind: type[S], path: Path, also: tuple[str, ...] = ()) -> S | None:
        """The struct of a table; None where something does not fit, which is then noted, field by field."""
        values = self._table(table, path)
        before = len(self.problems)
        fields = {field.encode_name: field for field in structs.fields(kind)}
        self.keys(values, (*fields, *also), path)
        for name, field in fields.items():
            if name in values:
                self._field(values[name], field, (*path, name))
            elif field.required:
                self.add("missing-key", path, f"has no {name}")
        if len(self.problems) > before:
            return None
        return msgspec.convert(values, kind, strict=True) if not also else kind(**_plain(values, fields))

    def _field(self, value: object, field: structs.FieldInfo, path: Path) -> None:
        try:
            msgspec.convert(value, field.type, strict=True)
        except msgspec.ValidationError as error:
            self.add("bad-value", path, f"does not fit: {_words(str(error))}", _choices(value, field.type))
            return
        if path[-1] == "format" and value not in LINES:
            self.add(
                "bad-value", path, "is no format of single records", nearest(str(value), LINES) or _one_of(LINES)
            )
        if path[-1] in _DURATIONS:
            try:
                duration(str(value))
            except ValueError as error:
                self.add("bad-value", path, f"does not fit: {error}")

    def _table(self, value: object, path: Path) -> dict[str, Any]:
        if isinstance(value, dict):
            return cast("dict[str, Any]", value)
        self.add("bad-value", path, "is no table", f"write [{'.'.join(path)}]")
        return {}


def _plain(values: dict[str, Any], fields: Mapping[str, structs.FieldInfo]) -> dict[str, Any]:
    return {name: msgspec.convert(value, fields[name].type, strict=True) for name, value in values.items()}


def _words(error: str) -> str:
    """msgspec's sentence without its own idea of a path."""
    return visible(error.partition(" - at ")[0], 160)


def _choices(value: object, kind: Any) -> str:
    choices = tuple(str(one) for one in get_args(kind) if isinstance(one, str))
    return (nearest(str(value), choices) or _one_of(choices)) if choices else ""


def _one_of(choices: tuple[str, ...]) -> str:
    return f"one of {', '.join(choices)}"


def nearest(word: str, known: tuple[str, ...]) -> str:
    """``did you mean X?``, or "" where nothing is near."""
    close = difflib.get_close_matches(word, known, 1, 0.6)
    return f"did you mean {close[0]}?" if close else ""
