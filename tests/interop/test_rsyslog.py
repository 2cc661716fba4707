"""A real rsyslogd gets every record at least once, over TCP and TLS, while it and the forwarder are killed -9."""

import json
import shutil
from pathlib import Path

import pytest

from bot_bottle.audit.mirrored import notes_in
from bot_bottle.audit.verify import verify
from forward_world import Growing, Process, arrived, forwarder, free_port, listens, rage
from sink_receivers import certificates

CONF = """
global(workDirectory="{folder}" maxMessageSize="64k" {tls})
module(load="imtcp" {mode})
input(type="imtcp" address="127.0.0.1" port="{port}")
template(name="raw" type="string" string="%msg%\\n")
action(type="omfile" file="{folder}/out.log" template="raw" fileCreateMode="0600")
"""
TLS = 'defaultNetstreamDriver="gtls" defaultNetstreamDriverCAFile="{ca}" defaultNetstreamDriverCertFile="{leaf}" defaultNetstreamDriverKeyFile="{key}"'
MODE = 'streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="anon"'


def rsyslogd(folder: Path, port: int, tls: str = "", mode: str = "") -> Process:
    conf = folder / "rsyslog.conf"
    conf.write_text(CONF.format(folder=folder, port=port, tls=tls, mode=mode))
    program = shutil.which("rsyslogd", path="/usr/sbin:/usr/bin:/sbin")
    assert program, "rsyslogd is not installed"
    return Process([program, "-n", "-f", str(conf), "-i", str(folder / "pid")], ready=lambda: listens(port))


def uids(path: Path) -> set[str]:
    """Of all whole lines; a line that a kill tore is no record."""
    found: set[str] = set()
    for line in path.read_bytes().splitlines() if path.exists() else ():
        try:
            document = json.loads(line)
        except ValueError:
            continue
        if "number" in document:
            found.add(f"{document['log']}/{document['number']}")
    return found


@pytest.mark.slow
@pytest.mark.parametrize("secure", [False, True], ids=["tcp", "tls"])
def test_a_real_rsyslog_gets_every_record_under_kill_9(tmp_path: Path, secure: bool) -> None:
    folder = tmp_path / "rsyslog"
    folder.mkdir()
    certs = certificates(tmp_path)
    tls = TLS.format(ca=certs.ca, leaf=certs.certificate, key=certs.key) if secure else ""
    port = free_port()
    server = rsyslogd(folder, port, tls, MODE if secure else "")
    growing = Growing(tmp_path / "home")
    Path(growing.home.settings).write_text(
        f'[sink.siem]\nkind = "syslog"\naddress = "127.0.0.1:{port}"\nsettle = "1s"\n'
        + (f'tls = true\nca = "{certs.ca}"\n' if secure else "")
    )
    sender = forwarder(growing.home, "siem")
    try:
        rage(8, server, sender, seed=41 + secure)
        wanted = growing.finish()
        assert arrived(lambda: uids(folder / "out.log"), wanted) == set()
        assert server.kills + sender.kills >= 8
    finally:
        sender.kill()
        server.kill()
    notes = notes_in((folder / "out.log").read_bytes())
    assert notes
    assert verify(growing.home.host_log, growing.fingerprint, b"".join(notes)).ok
