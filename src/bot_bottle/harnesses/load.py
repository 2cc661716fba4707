"""Loads harness files: the shipped ones (`data/*.toml`) and a person's own (`~/.bot-bottle/contrib/*.toml`).

A new harness is one file in one folder, no Python and no list to extend. A broken file stops only what uses it.
"""

import functools
import hashlib
import os
import tomllib
from dataclasses import dataclass, field

import msgspec

from bot_bottle.base.errors import ManifestFault, Problem, UsageFault
from bot_bottle.base.ids import is_name
from bot_bottle.harnesses import consistency, schema
from bot_bottle.harnesses.model import FORMAT, Harness

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")
MAX_BYTES = 262_144


@dataclass(frozen=True, slots=True)
class Loaded:
    """One harness with where it came from. origin: ``shipped`` or the path of the person's file."""

    harness: Harness
    origin: str

    @property
    def digest(self) -> str:
        """sha256 of the harness as canonical JSON: goes into the start record."""
        return digest(self.harness)


@dataclass(slots=True)
class Catalogue:
    """All harnesses by name, and the problems of the files that could not be read, by file."""

    harnesses: dict[str, Loaded] = field(default_factory=dict[str, Loaded])
    problems: dict[str, list[Problem]] = field(default_factory=dict[str, list[Problem]])

    def get(self, name: str) -> Loaded:
        """The harness of this name. Raises ManifestFault where its file is broken, UsageFault where there is none."""
        if name in self.harnesses:
            return self.harnesses[name]
        for file, found in self.problems.items():
            if _stem(file) == name:
                raise ManifestFault(found)
        raise UsageFault(
            "harness.unknown",
            f"There is no harness named {name!r}.",
            f"{schema.nearest(name, list(self.harnesses))}".capitalize() + ".",
        )


def digest(harness: Harness) -> str:
    """sha256 of the canonical JSON of a harness."""
    raw = msgspec.json.encode(harness, order="deterministic")
    return hashlib.sha256(raw).hexdigest()


@functools.cache
def shipped() -> dict[str, Harness]:
    """The harnesses of this release. They are tested, so a fault here is raised as ManifestFault."""
    catalogue = Catalogue()
    _add_folder(catalogue, DATA, "shipped")
    if catalogue.problems:
        raise ManifestFault([problem for found in catalogue.problems.values() for problem in found])
    return {name: loaded.harness for name, loaded in catalogue.harnesses.items()}


def load_all(home: str) -> Catalogue:
    """Shipped harnesses and those of ``<home>/contrib``. Never raises for a person's file: see `problems`."""
    catalogue = Catalogue({name: Loaded(harness, "shipped") for name, harness in shipped().items()})
    _add_folder(catalogue, os.path.join(home, "contrib"), "")
    return catalogue


def parse(text: str, file: str) -> Harness:
    """One harness file. Raises ManifestFault with all its problems."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ManifestFault([Problem("not-toml", f"this is not TOML: {error}", file)]) from None
    found = schema.problems(raw, Harness, file, text)
    if not found:
        harness = msgspec.convert(raw, Harness)
        found = consistency.problems(harness, file, text)
        if not found:
            return harness
    raise ManifestFault(found)


def _add_folder(catalogue: Catalogue, folder: str, origin: str) -> None:
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(".toml"))
    except FileNotFoundError:
        return
    for name in names:
        path = os.path.join(folder, name)
        try:
            harness = _read(path)
            _check_name(harness, path, catalogue)
        except ManifestFault as fault:
            catalogue.problems[path] = fault.problems
        else:
            catalogue.harnesses[harness.name] = Loaded(harness, origin or path)


def _read(path: str) -> Harness:
    try:
        with open(path, "rb") as file:
            raw = file.read(MAX_BYTES + 1)
        text = raw.decode("utf-8")
    except OSError as error:
        raise ManifestFault([Problem("unreadable", f"cannot be read: {error.strerror}", path)]) from None
    except UnicodeDecodeError:
        raise ManifestFault([Problem("not-utf8", "is not UTF-8", path)]) from None
    if len(raw) > MAX_BYTES:
        raise ManifestFault([Problem("too-large", f"is larger than {MAX_BYTES // 1024} KB", path)])
    return parse(text, path)


def _check_name(harness: Harness, path: str, catalogue: Catalogue) -> None:
    found: list[Problem] = []
    if not is_name(harness.name):
        found.append(Problem("bad-name", f"{harness.name!r} is not a name", path, hint="lower case, digits, hyphens"))
    if harness.name != _stem(path):
        found.append(
            Problem("wrong-file", f"the name is {harness.name!r} but the file is {os.path.basename(path)}", path)
        )
    earlier = catalogue.harnesses.get(harness.name)
    if earlier and not harness.replaces_shipped:
        hint = "say replaces_shipped = true if you mean it, or choose another name"
        found.append(Problem("shadows", f"there is a shipped harness {harness.name!r} already", path, hint=hint))
    if harness.format != FORMAT:
        found.append(Problem("unknown-format", f"format {harness.format} is not known", path, hint=f"write {FORMAT}"))
    if found:
        raise ManifestFault(found)


def _stem(path: str) -> str:
    return os.path.basename(path).removesuffix(".toml")
