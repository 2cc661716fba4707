"""The two logs of a run: its own, and the host's, which countersigns it so that neither record nor run can vanish."""

import os
import shutil
import ssl
import time

import msgspec

from bot_bottle.audit.hostlog import HostLog
from bot_bottle.audit.journal import segments
from bot_bottle.audit.keys import LogKey
from bot_bottle.audit.record import Kind, Record
from bot_bottle.audit.recover import is_orphan, recover_run
from bot_bottle.audit.runlog import RunLog, origin
from bot_bottle.audit.runs import read as known_runs
from bot_bottle.base.errors import BottleError, BusyFault, OperatorFault
from bot_bottle.base.home import Home
from bot_bottle.keeper.messages.launcher import Open

_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


class HostedLog:
    """A run log and the host log behind one face (keeper.ports.SealedLog)."""

    def __init__(self, run: RunLog, host: HostLog, directory: str, sync_each: bool = False) -> None:
        self.directory = directory
        self._each = sync_each
        self._run = run
        self._host = host
        self._template: Record | None = None

    def descriptor(self) -> int:
        return self._run.writer_fd()

    def append(self, record: Record) -> None:
        """Start and policy records stand in the host log too, before they are true."""
        if record.kind in (Kind.START, Kind.POLICY):
            self._template = record
            self._host.append(record)
        self._run.append(record)
        if self._each:
            self._run.checkpoint()

    def checkpoint(self) -> None:
        before = self._run.head.size
        head = self._run.checkpoint()
        if head.size > before and self._template is not None:
            self._host.countersign(now_of(self._template), head)

    def rotate(self) -> int:
        return self._run.rotate() if self._run.should_rotate else -1

    def seal(self, record: Record) -> None:
        head = self._run.close(record)
        self._host.countersign(record, head)
        self._host.append(record)
        self._host.close()

    @property
    def records(self) -> int:
        return self._run.head.size + self._run.unsigned

    @property
    def newest(self) -> str:
        return self._run.note.decode()


def now_of(template: Record) -> Record:
    """The run's identity at this moment."""
    return msgspec.structs.replace(template, time=time.time_ns(), mono=time.monotonic_ns(), detail={})


def open_log(order: Open) -> HostedLog:
    """Both logs of a new run. Raises AuditFault where they cannot be written or do not continue what was signed."""
    home = Home(order.home, order.runtime)
    key = LogKey.open(home.keys)
    host = HostLog.open(home.host_log, key)
    directory = home.run_log(order.identity.run)
    run = RunLog.create(directory, origin(order.identity.run), key)
    return HostedLog(run, host, directory, order.policy.sync == "each")


def recover(home: Home, runs: tuple[str, ...]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Seals the logs of dead keepers; no runs: all that are open. (what was sealed, run -> why it was not)."""
    sealed: list[str] = []
    kept: dict[str, str] = {}
    found = [run for run in runs or every_run(home) if is_orphan(home.run_log(run))]
    key = LogKey.open(home.keys) if found else None
    for run in found:
        assert key is not None
        try:
            if not removed_unborn(home, run):
                recover_run(home, run, key)
                sealed.append(run)
        except BusyFault:
            if run in runs:
                kept[run] = "its keeper or gateway still lives"
        except BottleError as error:
            kept[run] = error.what
    return tuple(sealed), kept


def removed_unborn(home: Home, run: str) -> bool:
    """A keeper that died before the start was recorded: no gateway had the log yet, and it holds no record.

    Its directory is removed, since a log whose start the host log does not know is what a forgery would look like.
    """
    directory = home.run_log(run)
    if any(os.path.getsize(path) for _, path in segments(directory)) or run in known_runs(home.host_log):
        return False
    if head_size(directory) != 0:
        return False
    shutil.rmtree(directory)
    return True


def head_size(directory: str) -> int:
    """Records under the newest checkpoint as it is written, -1 where there is none."""
    try:
        with open(os.path.join(directory, "checkpoint"), "rb") as file:
            return int(file.read(4096).split(b"\n")[1])
    except (OSError, IndexError, ValueError):
        return -1


def every_run(home: Home) -> list[str]:
    """Ids of all runs that have a log here."""
    try:
        return sorted(os.listdir(home.run_logs))
    except FileNotFoundError:
        return []


def trust(path: str) -> str:
    """PEM of the authorities that this host trusts: the given file, else the system's bundle."""
    default = ssl.get_default_verify_paths()
    for one in (path,) if path else (*_BUNDLES, default.cafile or "", default.openssl_cafile):
        try:
            with open(one, encoding="ascii", errors="replace") as file:
                return file.read()
        except OSError:
            continue
    raise OperatorFault(
        "host.no-authorities",
        f"There is no bundle of certificate authorities{f' at {path}' if path else ''}.",
        "Install the package ca-certificates, or set SSL_CERT_FILE.",
    )
