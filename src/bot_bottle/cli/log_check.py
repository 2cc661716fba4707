"""Which log a person means, what he remembers of it, and the checks behind `log verify` and `log proof`."""

import base64
import binascii
import os
import re
from dataclasses import dataclass

from bot_bottle.audit import checkpoint, keys, note, proof, runs
from bot_bottle.audit.checkpoint import Checkpoint
from bot_bottle.audit.files import read
from bot_bottle.audit.mirrored import notes_of
from bot_bottle.audit.verify import Report, verify
from bot_bottle.audit.whole import verify_home, verify_run
from bot_bottle.base.errors import AuditFault, OperatorFault, UsageFault
from bot_bottle.base.home import Home
from bot_bottle.base.text import visible

HOST = "host"
_MOST = 64 << 20
_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")
_SHORT = re.compile(r"(?:checkpoint )?(\d{1,18})[ :]([A-Za-z0-9+/]{43}=)\Z")


@dataclass(frozen=True, slots=True)
class Memory:
    """What a person kept: signed notes from a file, or the size and root that a summary printed."""

    notes: bytes | None = None
    heads: tuple[Checkpoint, ...] = ()


def remember(text: str) -> Memory:
    """`--against`: a file, or ``SIZE ROOT``. Raises UsageFault for anything else."""
    short = _SHORT.match(text.strip())
    if short:
        try:
            root = base64.b64decode(short[2], validate=True)
        except binascii.Error:
            root = b""
        return Memory(heads=(Checkpoint("", int(short[1]), root),))
    if not text:
        return Memory()
    notes = _notes(text) if os.path.isfile(text) else b""
    if not notes.strip():
        raise UsageFault(
            "log.against",
            f"{visible(text, 80)} is no file with a checkpoint, and no checkpoint.",
            "Give a file with signed checkpoints, or 'SIZE ROOT' as the summary of a run printed them.",
        )
    return Memory(notes)


def _notes(path: str) -> bytes:
    """The notes of a file that a sink wrote, in any format; else the file itself, then one of plain notes."""
    with open(path, "rb") as file:
        found = b"".join(notes_of(file))
        file.seek(0)
        return found or file.read(_MOST)


def directory_of(home: Home, log: str) -> tuple[str, str]:
    """(directory, run id) of what a person named; run id is `host` for the host log. "" means the newest run."""
    if log == HOST:
        return home.host_log, HOST
    run = run_of(home, log, runs.read(home.host_log))
    if not run or not os.path.isdir(home.run_log(run)):
        what = f"There is no log of {visible(log, 80)}." if log else "There is no log yet."
        raise UsageFault("log.unknown", what, "Run `bot-bottle log search` to see the runs, or start a bottle.")
    return home.run_log(run), run


def run_of(home: Home, log: str, facts: dict[str, runs.Facts]) -> str:
    """The run id: itself, the newest with this label, the newest of all for ""; "" where there is none."""
    if log in facts or (log and "/" not in log and not log.startswith(".") and os.path.isdir(home.run_log(log))):
        return log
    return next((one.run for one in reversed(facts.values()) if not log or one.label == log), "")


def reports_of(home: Home, log: str, fingerprint: str, memory: Memory) -> dict[str, Report]:
    """Name -> report: of one log, of every log that the memory speaks of, or of the whole home without one."""
    if not log and memory.notes:
        reports: dict[str, Report] = {}
        for name in dict.fromkeys(_log(one) for one in note.split(memory.notes)):
            reports |= _report(home, name, fingerprint, memory, remembered=True)
        return reports
    if not log and not memory.heads:
        whole = verify_home(home, fingerprint)
        return {HOST: whole.host, **whole.runs}
    return _report(home, log, fingerprint, memory)


def _report(home: Home, log: str, fingerprint: str, memory: Memory, *, remembered: bool = False) -> dict[str, Report]:
    """remembered: a checkpoint names the log, so that one that is gone is bad, not unknown."""
    if log == HOST:
        notes = _of(memory.notes, HOST)
        return {HOST: verify(home.host_log, fingerprint, notes, origin=checkpoint.HOST, known=memory.heads)}
    facts = runs.read(home.host_log)
    run = run_of(home, log, facts) or (log if remembered and is_run(log) else directory_of(home, log)[1])
    known = facts.get(run, runs.Facts(run))
    known.heads += memory.heads
    return {run: verify_run(home, run, fingerprint, _of(memory.notes, run), facts=known)}


def is_run(log: str) -> bool:
    """Whether a name could be a run's: a file that somebody gave us says it."""
    return _RUN.match(log) is not None


def _of(notes: bytes | None, log: str) -> bytes | None:
    """The notes of one log; all of them where none is its own, so that a memory of another log does not pass."""
    if notes is None:
        return None
    return b"".join(one for one in note.split(notes) if _log(one) == log) or notes


def _log(one: bytes) -> str:
    """The log that a remembered checkpoint belongs to; its signature is checked later."""
    try:
        origin = note.signer_name(one)
    except AuditFault:
        return ""
    return HOST if origin == checkpoint.HOST else origin.removeprefix("bot-bottle/run/")


def check_own(home: Home, directory: str, run: str, made: proof.Proof, line: bytes) -> None:
    """A proof that we give away holds; the files may have been changed."""
    data = read(os.path.join(directory, "key"))
    if data is None:
        raise OperatorFault("log.no-key", "The verifier key beside the log is gone.", "Run `bot-bottle log verify`.")
    key = note.parse_key(data.decode("utf-8", "replace"))
    expected = checkpoint.HOST if run == HOST else checkpoint.run_origin(run)
    if key.fingerprint != keys.pinned(home.keys) or key.name != expected:
        raise AuditFault(
            "audit.other-key", "The log is not signed by the pinned key.", "Run `bot-bottle log verify`."
        )
    proof.check(made, line, key)
