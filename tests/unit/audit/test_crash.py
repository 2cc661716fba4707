"""kill -9 at random times, a full disk, a read-only directory: the next start seals, or says what to do.

The writer stands for the gateway (batches of whole lines into an inherited descriptor), the sealer for the keeper.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bot_bottle.audit.checkpoint import run_origin
from bot_bottle.audit.encode import decode, encode
from bot_bottle.audit.hostlog import HostLog
from bot_bottle.audit.journal import Writer
from bot_bottle.audit.keys import LogKey
from bot_bottle.audit.reader import LogReader
from bot_bottle.audit.record import Record
from bot_bottle.audit.recover import is_orphan, recover_run
from bot_bottle.audit.runlog import RunLog
from bot_bottle.audit.verify import verify
from bot_bottle.audit.whole import verify_home
from bot_bottle.base.errors import AuditFault, BusyFault
from bot_bottle.base.home import Home

ROUNDS = 200
MOST = 50_000
"""Records of one writer: whatever happens to the test, it ends and fills no disk."""


def _intent(run: str, number: int, kind: str = "intent") -> Record:
    return Record(1, kind, run, number, number, "b", "a", "h", "l", "p", request=number, path="/" + "x" * 300)


def _keeper(home: Home, run: str, report: int) -> None:
    """Creates both logs, hands the writer its descriptor by fork, seals without a pause, says what it sealed."""
    os.setsid()
    key = LogKey.open(home.keys)
    host = HostLog.open(home.host_log, key)
    log = RunLog.create(home.run_log(run), run_origin(run), key)
    start = _intent(run, 0, "start")
    host.append(start)
    log.append(start)
    if os.fork() == 0:
        os.close(report)
        _writer(log, run)
    for turn in range(3000):
        head = log.checkpoint()
        host.countersign(start, head)
        os.write(report, b"head %d\n" % head.size)
        if turn % 3 == 2:
            log.rotate()


def _writer(log: RunLog, run: str) -> None:
    """Writes and then says on a second file what is certainly in the log: what a gateway would send afterwards."""
    sent = os.open(f"{log._sealer.directory}.sent", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    writer = Writer(log.writer_fd())
    for number in range(1, MOST, 5):
        writer.write(b"".join(encode(_intent(run, number + n)) for n in range(5)))
        os.write(sent, b"%d\n" % (number + 4))
    os._exit(0)


def _spawn(home: Home, run: str) -> tuple[int, int]:
    reader, report = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        try:
            _keeper(home, run, report)
        finally:
            os._exit(1)
    os.close(report)
    return pid, reader


def _kill_group(leader: int) -> None:
    """The keeper and the writer; before it has a group of its own there is no writer."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        os.kill(leader, signal.SIGKILL)


def _one_crash(home: Home, run: str, moment: float, both: bool) -> None:
    """both: keeper and writer die together; else the writer goes on for a moment."""
    pid, reader = _spawn(home, run)
    time.sleep(moment)  # the random moment is what is tested
    if not both:
        os.kill(pid, signal.SIGKILL)
        time.sleep(0.001)
    _kill_group(pid)
    os.waitpid(pid, 0)
    said = os.read(reader, 1 << 16).decode().split("\n")
    os.close(reader)
    _judge(home, run, said)


def _recovered(home: Home, run: str, key: LogKey) -> None:
    """As a start does it; the lock tells when the killed writer has really gone."""
    while True:
        try:
            recover_run(home, run, key)
            return
        except BusyFault:
            time.sleep(0.001)


def _judge(home: Home, run: str, said: list[str]) -> None:
    key = LogKey.open(home.keys)
    _recovered(home, run, key)
    directory = home.run_log(run)
    if not os.path.isdir(directory):
        assert not os.path.exists(f"{directory}.sent"), "something was sent, but there is no log"
        return
    report = verify(directory, key.fingerprint)
    assert (report.state, report.problems) == ("sealed", [])
    assert not is_orphan(directory)
    sealed = max((int(line[5:]) for line in said[:-1] if line.startswith("head ")), default=0)
    assert report.size >= sealed
    requests = {number for number in _requests(directory) if number}
    sent = Path(f"{directory}.sent").read_bytes().split(b"\n")[:-1] if os.path.exists(f"{directory}.sent") else []
    assert requests >= set(range(1, int(sent[-1]) + 1 if sent else 1)), "nothing may be sent that is not logged"


def _requests(directory: str) -> list[int]:
    found: list[int] = []
    for _, lines in LogReader(directory).batches():
        for line in lines:
            try:
                found.append(decode(line).request)
            except AuditFault:
                continue
    return found


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_kill_at_random_times(tmp_path: Path) -> None:
    home = Home(str(tmp_path / "home"), str(tmp_path / "run"))
    LogKey.open(home.keys)
    source = random.Random(20261125)
    for number in range(ROUNDS):
        _one_crash(home, f"r{number}", source.uniform(0, 0.03), both=bool(number % 2))
    whole = verify_home(home, LogKey.open(home.keys).fingerprint)
    assert whole.ok
    assert {report.state for report in whole.runs.values()} == {"sealed"}


def test_verify_while_keeper_and_gateway_work(tmp_path: Path) -> None:
    """A log that moves under the reader: segments become bundles, partial tiles go; it is never called bad."""
    home = Home(str(tmp_path / "home"), str(tmp_path / "run"))
    key = LogKey.open(home.keys)
    pid, reader = _spawn(home, "live")
    try:
        os.read(reader, 100)
        sizes, end = [0], time.monotonic() + 30
        while len(sizes) < 12 or (sizes[-1] <= 1 and time.monotonic() < end):
            whole = verify_home(home, key.fingerprint)
            assert whole.ok, [whole.host.problems, *[report.problems for report in whole.runs.values()]]
            sizes.append(whole.runs["live"].size)
        assert sizes == sorted(sizes)
        assert sizes[-1] > 1
    finally:
        _kill_group(pid)
        os.waitpid(pid, 0)
        os.close(reader)


SCRIPT = """
import os, sys
sys.path.insert(0, sys.argv[2])
from bot_bottle.audit.encode import encode
from bot_bottle.audit.hostlog import HostLog
from bot_bottle.audit.journal import Writer
from bot_bottle.audit.keys import LogKey
from bot_bottle.audit.record import Record
from bot_bottle.audit.recover import recover
from bot_bottle.audit.runlog import RunLog, origin
from bot_bottle.audit.verify import verify
from bot_bottle.base.clock import FixedClock
from bot_bottle.base.errors import AuditFault, BusyFault

def record(kind, number=0):
    return Record(1, kind, "r", 1, 1, "b", "a", "h", "l", "p", request=number, path="/" + "x" * 500)

place, key = sys.argv[1], LogKey.generate()
log = RunLog.create(place + "/log", origin("r"), key)
log.append(record("start"))
writer, number, failed = Writer(log.writer_fd()), 0, None
while failed is None:
    try:
        writer.write(b"".join(encode(record("denied", number + n)) for n in range(64)))
        number += 64
        if number % 640 == 0:
            log.checkpoint()
    except AuditFault as fault:
        failed = fault
print("writer", failed.slug)
try:
    writer.write(b"again\\n")
except AuditFault as fault:
    print("again", fault.slug)
head = log.close(record("stop"))
report = verify(place + "/log", key.fingerprint)
print("state", report.state, report.size > number, os.path.isdir(place + "/log/journal"))
os.unlink(place + "/filler")
if os.path.isdir(place + "/log/journal"):
    recover(place + "/log", "r", key, FixedClock())
report = verify(place + "/log", key.fingerprint)
print("after", report.state, report.problems, os.path.isdir(place + "/log/journal"))
"""


def _mounted(tmp_path: Path, mount: str, script: str, *arguments: str) -> str:
    """Runs a script with a small filesystem of its own (works for root and for an ordinary user)."""
    place = tmp_path / "small"
    place.mkdir()
    program = tmp_path / "script.py"
    program.write_text(script)
    packages = os.path.dirname(os.path.dirname(os.path.abspath(sys.modules["bot_bottle"].__file__ or "")))
    inner = (
        f"{mount.format(place=place)} && exec {sys.executable} -I {program} {place} {packages} {' '.join(arguments)}"
    )
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", inner], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_full_disk_stops_the_writer_and_the_log_is_sealed(tmp_path: Path) -> None:
    mount = "mount -t tmpfs -o size=6m tmpfs {place} && dd if=/dev/zero of={place}/filler bs=1M count=2 2>/dev/null"
    out = _mounted(tmp_path, mount, SCRIPT)
    assert "writer audit.cannot-write\nagain audit.cannot-write\n" in out
    assert "state sealed True" in out
    assert "after sealed [] False" in out


READ_ONLY = """
import sys
sys.path.insert(0, sys.argv[2])
from bot_bottle.audit.hostlog import HostLog
from bot_bottle.audit.keys import LogKey
from bot_bottle.audit.runlog import RunLog, origin
from bot_bottle.base.errors import AuditFault, BusyFault
key = LogKey.generate()
for make in (lambda: RunLog.create(sys.argv[1] + "/log", origin("r"), key), lambda: HostLog.open(sys.argv[1] + "/h", key),
             lambda: LogKey.open(sys.argv[1] + "/keys")):
    try:
        make()
    except AuditFault as fault:
        print(fault.slug, fault.exit_code, fault.what)
"""


def test_a_read_only_directory_is_one_sentence(tmp_path: Path) -> None:
    out = _mounted(tmp_path, "mount -t tmpfs -o ro tmpfs {place}", READ_ONLY)
    lines = out.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("audit.cannot-write 7 ") and "Read-only file system" in line for line in lines)


def test_a_disk_without_room_for_the_reserve_refuses_the_start(tmp_path: Path) -> None:
    out = _mounted(tmp_path, "mount -t tmpfs -o size=300k tmpfs {place}", READ_ONLY)
    assert "audit.cannot-write 7 The log cannot be written: No space left on device." in out
