"""A `.git/config` made again from an allowlist (D07, F20, B64): no command, no include, no credential in it. Pure.

What decides is the name of the key; values of URLs lose their user part, and helper protocols are dropped (F22).
"""

import re
from collections.abc import Iterable

_KEYS = {
    "core": {
        "repositoryformatversion", "filemode", "bare", "logallrefupdates", "ignorecase", "precomposeunicode",
        "symlinks", "autocrlf", "eol", "safecrlf", "abbrev", "quotepath", "sparsecheckout", "sparsecheckoutcone",
        "worktree",
    },
    "extensions": {"objectformat", "refstorage", "partialclone", "noop"},
    "remote": {"url", "pushurl", "fetch", "push", "tagopt", "promisor", "partialclonefilter", "prune"},
    "branch": {"remote", "merge", "rebase", "pushremote"},
    "submodule": {"url", "active", "branch", "update"},
    "user": {"name", "email"},
    "init": {"defaultbranch"},
    "pull": {"rebase", "ff"},
    "push": {"default", "autosetupremote"},
    "merge": {"conflictstyle"},
    "rerere": {"enabled"},
    "index": {"version"},
}  # fmt: skip
_URLS = {"url", "pushurl"}
_UPDATES = {"checkout", "rebase", "merge", "none"}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_USER = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)[^/?#\s]*@")
_USER_BYTES = re.compile(rb"([A-Za-z][A-Za-z0-9+.-]{0,20}://)[^/?#\s@]{1,4096}@")
Pair = tuple[str, str | None]


def parse_list(data: bytes) -> list[Pair]:
    """The pairs of ``git config --list -z``: key, newline, value; a key alone has no value."""
    pairs: list[Pair] = []
    for item in data.split(b"\0"):
        if item:
            key, mark, value = item.decode("utf-8", "surrogateescape").partition("\n")
            pairs.append((key, value if mark else None))
    return pairs


def allowed(pairs: Iterable[Pair]) -> list[Pair]:
    """Only the pairs that a bottle may see, URLs without their user part."""
    out: list[Pair] = []
    for key, value in pairs:
        section, _, rest = key.partition(".")
        name = rest.rsplit(".", 1)[-1].lower()
        if name not in _KEYS.get(section.lower(), ()) or (value and "\0" in value):
            continue
        kept = public_url(value or "") if name in _URLS else value
        if name in _URLS and not kept:
            continue
        if section.lower() == "submodule" and name == "update" and value not in _UPDATES:
            continue  # `!command` runs it
        out.append((key, kept))
    return out


def public_url(url: str) -> str:
    """The URL without user and password; "" for a helper protocol (``ext::``, ``fd::``) or an option in disguise."""
    if url.startswith("-") or "::" in url.split("/", 1)[0] or any(ord(c) < 32 for c in url):
        return ""
    found = _SCHEME.match(url)
    if found and found[1].lower() not in ("https", "http", "ssh", "git", "file", "git+ssh"):
        return ""
    if found and found[1].lower() in ("ssh", "git+ssh"):
        return re.sub(r"(://[^/?#\s:@]*):[^/?#\s]*@", r"\1@", url)  # the user of ssh is part of the address
    return _USER.sub(r"\1", url)


def without_users(data: bytes) -> bytes:
    """Text of git's own files (reflogs, FETCH_HEAD) with the user part of every URL removed."""
    return _USER_BYTES.sub(rb"\1", data)


def render(pairs: Iterable[Pair]) -> bytes:
    """A config file with these pairs, every value quoted (git-config(1), Syntax)."""
    lines: list[str] = []
    for key, value in pairs:
        section, _, rest = key.partition(".")
        subsection, dot, name = rest.rpartition(".")
        head = f'[{section} "{_escape(subsection)}"]' if dot else f"[{section}]"
        lines.append(f"{head}\n\t{name}" + (f' = "{_escape(value)}"' if value is not None else ""))
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")


def _escape(text: str) -> str:
    return (
        text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t").replace("\b", "\\b")
    )
