"""The sinks of the settings as `serve` runs them: each for itself, one process a sink, states, what a purge waits for."""

import json
import re
import sys
import threading
import time
from pathlib import Path

import pytest

from bot_bottle.api import forwarding
from bot_bottle.api.settings import Settings, parse
from bot_bottle.audit import cursor
from bot_bottle.audit.checkpoint import run_origin
from bot_bottle.audit.hostlog import HostLog
from bot_bottle.audit.keys import LogKey
from bot_bottle.audit.record import VERSION, Record
from bot_bottle.audit.runlog import RunLog
from bot_bottle.audit.sinks.file import FileConfig
from bot_bottle.audit.sinks.model import SinkFault
from bot_bottle.audit.sinks.registry import open_sink
from bot_bottle.audit.sinks.s3 import S3Config
from bot_bottle.audit.sinks.syslog import SyslogConfig
from bot_bottle.audit.sinks.webhook import WebhookConfig
from bot_bottle.base.errors import BusyFault, OperatorFault, UsageFault
from bot_bottle.base.home import Home

RUN = "20261125t010000-000000000001"


def record(kind: str, number: int = 0) -> Record:
    return Record(VERSION, kind, RUN, 1_700_000_000_000_000_000, 1, "b", "a", "h", "l", "p", request=number)


@pytest.fixture
def logged(tmp_path: Path) -> Home:
    home, key = Home(str(tmp_path), str(tmp_path / "run")), LogKey.generate()
    host = HostLog.open(home.host_log, key)
    log = RunLog.create(home.run_log(RUN), run_origin(RUN), key)
    for sink in (host, log):
        sink.append(record("start"))
    for number in range(20):
        log.append(record("denied", number))
    log.close(record("stop"))
    host.append(record("stop"))
    host.close()
    return home


def until(found) -> None:
    end = time.monotonic() + 10
    while not found():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_one_that_cannot_run_stops_no_other_and_says_so_once(logged: Home, tmp_path: Path) -> None:
    settings = Settings(
        sinks={
            "hook": WebhookConfig(url="https://x.example/", signing_secret="k"),
            "dead": SyslogConfig(address="127.0.0.1:9"),
            "disk": FileConfig(path=str(tmp_path / "out")),
        }
    )
    stop, said = threading.Event(), []
    thread = threading.Thread(target=forwarding.run, args=(logged, settings, {}, stop, said.append))
    thread.start()
    until(lambda: (tmp_path / "out").exists() and (tmp_path / "out").read_bytes().count(b"\n") == 25)
    until(lambda: forwarding.status_of(logged, "dead").state == "failing")
    until(lambda: {one.name: one.behind for one in forwarding.states(logged, settings)}["disk"] == 0)
    with pytest.raises(BusyFault, match="served by another process"):
        forwarding.once(logged, "disk", settings.sinks["disk"], {}, 1)
    states = {one.name: one for one in forwarding.states(logged, settings)}
    assert (states["disk"].behind, states["hook"].behind, states["dead"].behind) == (0, 24, 24)
    assert "does not take it" in states["dead"].status.fault
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    assert said == ["The sink hook does not run: The secret k is not set. Run: bot-bottle secret set k"]


def test_once_waits_until_it_has_settled(logged: Home) -> None:
    from sink_receivers import SyslogReceiver

    receiver = SyslogReceiver()
    config = SyslogConfig(address=f"127.0.0.1:{receiver.port}", settle="300ms")
    begun = time.monotonic()
    status = forwarding.once(logged, "siem", config, {}, 5)
    assert time.monotonic() - begun >= 0.3
    assert status.sent == 25
    assert len(receiver.messages) == 25
    receiver.stop()
    assert forwarding.lagging(logged, Settings(sinks={"siem": config}), RUN) == []


def test_once_gives_up_after_its_patience(logged: Home) -> None:
    with pytest.raises(SinkFault, match="does not take it"):
        forwarding.once(logged, "siem", SyslogConfig(address="127.0.0.1:9"), {}, 0.6)
    assert forwarding.lagging(logged, Settings(sinks={"siem": SyslogConfig(address="127.0.0.1:9")}), RUN) == ["siem"]


def test_a_sink_that_left_the_settings_is_still_listed(logged: Home, tmp_path: Path) -> None:
    config = FileConfig(path=str(tmp_path / "out"))
    forwarding.once(logged, "disk", config, {}, 1)
    (found,) = forwarding.states(logged, Settings())
    assert (found.name, found.configured, found.behind) == ("disk", False, 0)
    assert cursor.names(logged) == ["disk"]
    with pytest.raises(UsageFault, match="There is no sink"):
        forwarding.sink_named(Settings(), "disk")


def test_a_missing_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    config = S3Config(bucket="bbb", access_secret="a", key_secret="b")
    with pytest.raises(OperatorFault, match=r"bot-bottle\[s3\]") as caught:
        open_sink(config, {"a": b"x", "b": b"y"})
    assert caught.value.slug == "sink.no-obstore"


def test_a_status_that_is_no_status_is_an_empty_one(logged: Home) -> None:
    folder = Path(logged.forward, "x")
    folder.mkdir(parents=True)
    (folder / "status.json").write_text("{")
    assert forwarding.status_of(logged, "x").state == "idle"
    assert json.loads(json.dumps({"a": 1})) == {"a": 1}


@pytest.mark.parametrize("page", ["export.md", "notify.md"])
def test_the_settings_in_the_docs_are_settings(repository: Path, page: str) -> None:
    blocks = re.findall(r"```toml\n(.*?)```", (repository / "docs/how-to" / page).read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        parse(block.encode())
