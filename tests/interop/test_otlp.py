"""An OTLP receiver that parses with the protocol's own classes gets every record under kill -9 of both sides."""

import os
import sys
from pathlib import Path

import pytest

from bot_bottle.audit.mirrored import notes_in
from bot_bottle.audit.verify import verify
from forward_world import Growing, Process, arrived, forwarder, free_port, listens, rage

from .test_rsyslog import uids

SERVER = Path(__file__).parent.parent / "otlp_server.py"


@pytest.mark.slow
def test_an_otlp_receiver_gets_every_record_under_kill_9(tmp_path: Path) -> None:
    port, out = free_port(), tmp_path / "out.log"
    env = {"PATH": os.environ["PATH"]}
    server = Process([sys.executable, str(SERVER), str(port), str(out)], env, ready=lambda: listens(port))
    growing = Growing(tmp_path / "home")
    Path(growing.home.settings).write_text(
        f'[sink.otel]\nkind = "otlp"\nurl = "http://127.0.0.1:{port}/v1/logs"\ntoken_secret = "otlp"\n'
    )
    sender = forwarder(growing.home, "otel", otlp="otlp-token-value")
    try:
        rage(8, server, sender, seed=43)
        wanted = growing.finish()
        assert arrived(lambda: uids(out), wanted) == set()
        assert server.kills + sender.kills >= 8
    finally:
        sender.kill()
        server.kill()
    assert verify(growing.home.host_log, growing.fingerprint, b"".join(notes_in(out.read_bytes()))).ok
