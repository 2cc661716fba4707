"""Which files a program on the host executes or trusts (D04, D13, B66): pure matching over `trusted_files.toml`."""

import functools
import re
import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import cast


@dataclass(frozen=True, slots=True)
class Trusted:
    """One entry. names: relative paths that are masked in a bound workspace where nothing has that name.

    directory: whether those names are directories.
    """

    pattern: re.Pattern[str]
    why: str
    bind: bool
    names: tuple[str, ...]
    directory: bool


@functools.cache
def trusted() -> tuple[Trusted, ...]:
    """All entries of the data list."""
    text = resources.files(__package__ or "").joinpath("trusted_files.toml").read_text("utf-8")
    return tuple(_entry(row) for row in tomllib.loads(text)["file"])


def _entry(row: dict[str, object]) -> Trusted:
    path = str(row["path"])
    plain = path.removeprefix("**/").removesuffix("/**")
    given = cast("list[str] | None", row.get("names"))
    names = tuple(given) if given else (() if "*" in plain else (plain,))
    return Trusted(_compile(path), str(row["why"]), bool(row.get("bind", False)), names, path.endswith("/**"))


def _compile(glob: str) -> re.Pattern[str]:
    """`**/` any directories or none, trailing `/**` the directory itself and all below, `*` within one name."""
    text = re.escape(glob).replace(r"\*", "*")
    text = text.replace("**/", "(?:.*/)?", 1) if text.startswith("**/") else text
    text = re.sub(r"/\*\*\Z", "(?:/.*)?", text)
    return re.compile(re.sub(r"(?<!\.)\*", "[^/]*", text), re.IGNORECASE | re.DOTALL)


def why_trusted(path: str, bind_only: bool = False) -> str:
    """Why a host tool trusts this relative path, or ""."""
    for entry in trusted():
        if (entry.bind or not bind_only) and entry.pattern.fullmatch(path):
            return entry.why
    return ""


def guarded_names() -> dict[str, bool]:
    """Relative paths that a bound workspace protects at its root, whether they exist or not -> is it a directory."""
    return {name: entry.directory for entry in trusted() if entry.bind for name in entry.names}
