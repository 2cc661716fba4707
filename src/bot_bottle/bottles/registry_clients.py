"""How each package client of this host is asked where it downloads from: its configuration, then its own default.

Children run with cwd ``/`` or an empty directory, a short timeout and an allowlisted environment; Python with -I.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping
from glob import escape, glob
from typing import Any, cast

import msgspec

Place = tuple[str, str]
"""(URL, where it was read)"""

_TIMEOUT = 10
_KEPT = frozenset("HOME LANG XDG_CONFIG_HOME TMPDIR USER RUSTUP_HOME RUSTUP_TOOLCHAIN NVM_DIR PYENV_ROOT".split())  # noqa: SIM905
_PREFIXES = ("PIP_", "NPM_CONFIG_", "npm_config_", "GO", "CARGO_", "UV_")
_PIP_DEFAULT = "from pip._internal.models.index import PyPI; print(PyPI.simple_url, PyPI.file_storage_domain)"
_NOWHERE = "http://127.0.0.1:9"


class Asked:
    """The host as the clients see it. Notes are sentences for the plan."""

    def __init__(self, environ: Mapping[str, str], workspace: str = "") -> None:
        kept = {name: value for name, value in environ.items() if name in _KEPT or name.startswith(_PREFIXES)}
        inside = workspace.rstrip("/") + "/" if workspace.strip("/") else ""
        entries = [entry for entry in environ.get("PATH", "").split(os.pathsep) if entry.startswith("/")]
        outside = [entry for entry in entries if not inside or not (os.path.realpath(entry) + "/").startswith(inside)]
        self.environ = {**kept, "PATH": os.pathsep.join(outside)}
        self._notes: dict[str, list[str]] = {}

    def run(self, argv: list[str], cwd: str = "/", **more: str) -> str | None:
        """Standard output and error of a client, or None where it is missing, too slow or broken."""
        program = shutil.which(argv[0], path=self.environ["PATH"])
        if program is None:
            return None
        try:
            done = subprocess.run(
                [program, *argv[1:]],
                cwd=cwd,
                env={**self.environ, **more},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=_TIMEOUT,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.decode("utf-8", "replace")

    def home(self, *parts: str) -> str:
        return os.path.join(self.environ.get("HOME", "/nonexistent"), *parts)

    def note(self, kind: str, text: str) -> None:
        self._notes.setdefault(kind, []).append(text)

    def notes_of(self, kind: str) -> list[str]:
        return self._notes.get(kind, [])


Client = Callable[[Asked], Iterator[Place]]


def pypi(asked: Asked) -> Iterator[Place]:
    """pip's configuration (files and environment), uv's variables, else what this pip was built with."""
    python = _with_pip(asked)
    listed = asked.run([python, "-I", "-m", "pip", "config", "list"]) or ""
    found = dict(re.findall(r"^([\w.:-]+)='([^'\n]*)'$", listed, re.MULTILINE))
    urls = [(value, f"pip config {key}") for key, value in found.items() if re.search(r"\.(extra-)?index-url$", key)]
    urls += [(asked.environ[name], name) for name in ("UV_INDEX_URL", "UV_DEFAULT_INDEX") if name in asked.environ]
    for value, source in urls:
        for url in value.split():
            yield url, source
    if any("extra" not in source for _, source in urls):
        return
    built_in = (asked.run([python, "-I", "-c", _PIP_DEFAULT]) or "").split()
    if len(built_in) == 2 and built_in[0].startswith("https://"):
        yield built_in[0], "pip's default"
        yield f"https://{built_in[1]}/", "pip's default for files"


def _with_pip(asked: Asked) -> str:
    """The host's python3 where it has pip; a bare host has it only in the environment that we were installed with."""
    version = asked.run(["python3", "-I", "-m", "pip", "--version"]) or ""
    return "python3" if version.startswith("pip ") else sys.executable


def npm(asked: Asked) -> Iterator[Place]:
    """``npm config list --json``: the registry and those of scopes."""
    listed = asked.run(["npm", "config", "list", "--json"]) or ""
    start = listed.find("{")
    try:
        settings: dict[str, Any] = msgspec.json.decode(listed[start:], type=dict[str, Any]) if start >= 0 else {}
    except msgspec.DecodeError:
        return
    for key, value in settings.items():
        if isinstance(value, str) and (key == "registry" or key.endswith(":registry")):
            yield value, f"npm config {key}"


def go(asked: Asked) -> Iterator[Place]:
    """``go env``: the proxies and the checksum database. ``direct`` needs routes of its own."""
    listed = asked.run(["go", "env", "-json", "GOPROXY", "GOSUMDB"], GOTOOLCHAIN="local", GOFLAGS="") or ""
    try:
        settings = msgspec.json.decode(listed, type=dict[str, str])
    except msgspec.DecodeError:
        return
    for entry in re.split(r"[,|]", settings.get("GOPROXY", "")):
        if entry.strip() not in ("direct", "off", ""):
            yield entry, "go env GOPROXY"
    sums = settings.get("GOSUMDB", "").split()
    if sums and sums[0] != "off":
        yield (sums[1] if len(sums) > 1 else f"https://{sums[0].partition('+')[0]}"), "go env GOSUMDB"


def cargo(asked: Asked) -> Iterator[Place]:
    """Configured sources, else the index that this cargo names when it cannot connect; then each index's ``dl``."""
    root = asked.environ.get("CARGO_HOME") or asked.home(".cargo")
    configured = list(_cargo_sources(root))
    for url in configured:
        yield url, "cargo config"
    if not configured:
        found = re.search(r"`(https://[^`\s]+)/config\.json`", _cargo_fetch(asked))
        if found:
            yield found[1], "cargo's default index"
    downloads = list(_cargo_downloads(root))
    for url in downloads:
        yield url, "cargo's cached index"
    if not downloads:
        asked.note("cargo", "registries: where cargo's files lie is known once cargo has downloaded on this host")


def _cargo_sources(root: str) -> Iterator[str]:
    for name in ("config.toml", "config"):
        try:
            with open(os.path.join(root, name), "rb") as file:
                settings = tomllib.load(file)
        except (OSError, tomllib.TOMLDecodeError):
            continue
        tables = [*_tables(settings.get("source")), *_tables(settings.get("registries"))]
        for table in tables:
            url = table.get("registry") or table.get("index")
            if isinstance(url, str):
                yield url.removeprefix("sparse+")
        return


def _tables(value: object) -> list[dict[str, Any]]:
    table = cast("dict[str, object]", value) if isinstance(value, dict) else {}
    return [cast("dict[str, Any]", one) for one in table.values() if isinstance(one, dict)]


def _cargo_fetch(asked: Asked) -> str:
    """cargo's own words about an index that it cannot reach: the proxy is this machine's discard port."""
    with tempfile.TemporaryDirectory(prefix="bot-bottle-cargo-") as folder:
        os.mkdir(os.path.join(folder, "src"))
        manifest = '[package]\nname="p"\nversion="0.1.0"\nedition="2021"\n[dependencies]\na="1"\n'
        for name, text in (("Cargo.toml", manifest), ("src/lib.rs", "")):
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(text)
        home = os.path.join(folder, "home")
        own = {"CARGO_HOME": home, "CARGO_HTTP_PROXY": _NOWHERE, "CARGO_NET_RETRY": "0"}
        return asked.run(["cargo", "fetch"], folder, **own) or ""


def _cargo_downloads(root: str) -> Iterator[str]:
    for path in sorted(glob(os.path.join(escape(root), "registry", "index", "*", "config.json"))):
        try:
            with open(path, "rb") as file:
                url = msgspec.json.decode(file.read(65536), type=dict[str, Any]).get("dl")
        except (OSError, msgspec.DecodeError):
            continue
        if isinstance(url, str):
            yield url.partition("{")[0]


def debian(_asked: Asked) -> Iterator[Place]:
    """apt's sources, both formats."""
    for path in ["/etc/apt/sources.list", *sorted(glob("/etc/apt/sources.list.d/*"))]:
        if not path.endswith((".list", ".sources")):
            continue
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                text = file.read(262_144)
        except OSError:
            continue
        for url in apt_urls(text, path.endswith(".sources")):
            yield url, path


def apt_urls(text: str, deb822: bool) -> Iterator[str]:
    """The http(s) addresses of a sources file; disabled stanzas and cdrom or file sources are left out."""
    if deb822:
        for stanza in re.split(r"\n\s*\n", text):
            kept = "\n".join(line for line in stanza.splitlines() if not line.startswith("#"))
            lines = re.sub(r"\n[ \t]+", " ", kept).splitlines()
            fields = {key.strip().lower(): value for key, _, value in (line.partition(":") for line in lines)}
            if fields.get("enabled", "yes").strip().lower() not in ("no", "false"):
                yield from (url for url in fields.get("uris", "").split() if url.startswith("http"))
    else:
        for found in re.finditer(r"^\s*deb(?:-src)?\s+(?:\[[^\]\n]*\]\s+)?(https?://\S+)", text, re.MULTILINE):
            yield found[1]


CLIENTS: dict[str, Client] = {"pypi": pypi, "npm": npm, "go": go, "cargo": cargo, "debian": debian}
