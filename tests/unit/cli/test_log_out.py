"""`log export`, `forward`, `sinks`, `purge`, `hold`, `holds`, `verify --against` what a sink received; `notify`."""

import json
import os
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bot_bottle.audit.checkpoint import run_origin
from bot_bottle.audit.formats.registry import FORMATS
from bot_bottle.audit.hostlog import HostLog
from bot_bottle.audit.keys import LogKey
from bot_bottle.audit.record import VERSION, Record
from bot_bottle.audit.runlog import RunLog
from bot_bottle.base.errors import BottleError
from bot_bottle.cli.log import command
from bot_bottle.cli.notify import command as notify

RUNS = ("20261125t010000-000000000001", "20261125t020000-000000000002")


def record(kind: str, run: str, **fields: object) -> Record:
    base: dict[str, object] = {"time": 1_700_000_000_000_000_000, "mono": 1, "bottle": "b", "agent": "a",
                               "harness": "h", "label": f"label{run[-1]}", "policy": "p"}  # fmt: skip
    return Record(v=VERSION, kind=kind, run=run, **(base | fields))  # type: ignore[arg-type]


def write(home: Path, run: str) -> None:
    key = LogKey.open(str(home / "keys"))
    host = HostLog.open(str(home / "log/host"), key)
    log = RunLog.create(str(home / "log/runs" / run), run_origin(run), key)
    for sink in (host, log):
        sink.append(record("start", run, detail={"project": f"/p/{run[-1]}"}))
    for number in range(5):
        log.append(
            record(
                "denied",
                run,
                request=number,
                verdict="deny",
                target=f"https://h{number}.example:443",
                path="/\x1b[31m=1",
            )
        )
    host.countersign(record("start", run), log.close(record("stop", run)))
    host.append(record("stop", run))
    host.close()


@pytest.fixture
def logs(home: Path) -> Path:
    for run in RUNS:
        write(home, run)
    (home / "settings.toml").write_text(f'[sink.disk]\nkind = "file"\npath = "{home}/sink.jsonl"\n')
    return home


def run(*arguments: str, group=command) -> Result:
    return CliRunner().invoke(group, list(arguments), catch_exceptions=True)


def out(*arguments: str, group=command) -> str:
    done = run(*arguments, group=group)
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


def fault(*arguments: str, group=command) -> BottleError:
    error = run(*arguments, group=group).exception
    assert isinstance(error, BottleError), error
    return error


@pytest.mark.parametrize("name", list(FORMATS))
def test_export_writes_every_format_to_a_file(logs: Path, name: str) -> None:
    path = logs / "out"
    assert out("export", "all", "--format", name, "-o", str(path)) == ""
    assert path.stat().st_size > 500
    assert path.stat().st_mode & 0o777 == 0o600
    assert b"\x1b" not in path.read_bytes() or name == "parquet"
    assert [one.name for one in logs.iterdir() if ".part-" in one.name] == []


def test_export_filters_as_the_log_page_does(logs: Path) -> None:
    assert len(out("export", "all").splitlines()) == 2 * 7 + 6
    assert len(out("export", "label1", "--kind", "denied", "--host", "h3.example").splitlines()) == 1
    assert len(out("export", "all", "--filter", "host:*.example -host:h1.example").splitlines()) == 8
    assert len(out("export", "all", "--filter", "project:/p/2 kind:denied").splitlines()) == 5
    assert out("export", "all", "--since", "1h") == ""
    assert len(out("export", "host", "--format", "numbered").splitlines()) == 6
    assert fault("export", "--filter", "nonsense:1").slug == "filter.wrong"
    assert fault("export", "nowhere").slug == "log.unknown"


def test_export_leaves_no_half_file(logs: Path) -> None:
    assert fault("export", "-o", "/nonexistent/x").slug == "export.cannot-write"
    path = logs / "old"
    path.write_text("old")
    assert fault("export", "nowhere", "-o", str(path)).slug == "log.unknown"
    assert path.read_text() == "old"


def test_forward_and_sinks(logs: Path) -> None:
    assert "disk" in out("sinks")
    assert "20 records behind" in out("sinks")
    assert out("forward", "--once") == "disk: 21 sent\n"
    found = json.loads(out("sinks", "--json"))["sinks"]
    assert [(one["name"], one["kind"], one["behind"], one["configured"]) for one in found] == [
        ("disk", "file", 0, True)
    ]
    assert json.loads(out("forward", "disk", "--once", "--json")) == {"sink": "disk", "sent": 0, "missing": 0}
    (logs / "settings.toml").write_text("")
    assert "not in the settings" in out("sinks")
    assert fault("forward", "disk", "--once").slug == "sink.unknown"
    assert "no sink" in run("forward").output


def test_a_sink_that_fails_is_said_and_exit_is_1(logs: Path) -> None:
    (logs / "settings.toml").write_text('[sink.siem]\nkind = "syslog"\naddress = "127.0.0.1:9"\n')
    error = fault("forward", "siem", "--once", "--patience", "1")
    assert (error.slug, error.exit_code) == ("sink.failed", 1)
    assert "failed" in out("sinks")
    (logs / "settings.toml").write_text('[sink.siem]\nkind = "sylog"\n')
    assert fault("sinks").slug == "settings.invalid"


def test_a_sink_that_fails_keeps_no_other_from_getting_its_records(logs: Path) -> None:
    disk = (logs / "settings.toml").read_text()
    dead = '[sink.siem]\nkind = "syslog"\naddress = "127.0.0.1:9"\n'
    unset = '[sink.otel]\nkind = "otlp"\nurl = "https://collector.example.com/v1/logs"\ntoken_secret = "otel"\n'
    (logs / "settings.toml").write_text(dead + unset + disk)
    done = run("forward", "--once", "--patience", "1")
    assert "disk: 21 sent\n" in done.output
    assert "siem: " in done.output
    assert "otel: " in done.output
    assert done.exit_code == 1
    told = [json.loads(line) for line in run("forward", "--once", "--patience", "1", "--json").stdout.splitlines()]
    assert [(one["sink"], "fault" in one) for one in told] == [("siem", True), ("otel", True), ("disk", False)]


@pytest.mark.parametrize("form", ["numbered", "ocsf", "ocsf18", "cef", "jsonl"])
def test_d17_a_mirrored_checkpoint_shows_a_rollback_of_the_whole_home(logs: Path, form: str) -> None:
    """What lies with another uid remembers what the whole home forgot."""
    (logs / "settings.toml").write_text(f'[sink.disk]\nkind = "file"\npath = "{logs}/sink.log"\nformat = "{form}"\n')
    shutil.copytree(logs / "log", logs / "log-before")
    write(logs, "20261125t030000-000000000003")
    out("forward", "--once")
    assert run("verify", "--against", str(logs / "sink.log")).exit_code == 0
    assert run("verify", "host", "--against", str(logs / "sink.log")).exit_code == 0
    shutil.rmtree(logs / "log")
    (logs / "log-before").rename(logs / "log")
    assert run("verify").exit_code == 0, "positive control: without it nobody sees"
    done = run("verify", "--against", str(logs / "sink.log"))
    assert done.exit_code == 7
    assert "truncated or rolled back" in done.output or "vanished" in done.output


def test_a_log_that_the_memory_does_not_know_is_not_passed(logs: Path) -> None:
    (logs / "run.checkpoint").write_bytes((logs / "log/runs" / RUNS[0] / "checkpoint").read_bytes())
    assert run("verify", RUNS[0], "--against", str(logs / "run.checkpoint")).exit_code == 0
    assert run("verify", RUNS[1], "--against", str(logs / "run.checkpoint")).exit_code == 7
    assert run("verify", "host", "--against", str(logs / "run.checkpoint")).exit_code == 7


def test_hold_and_purge_through_a_real_keeper(logs: Path) -> None:
    assert out("holds") == "No holds.\n"
    assert out("hold", "label1", "--reason", "case 7") == f"{RUNS[0]}: held\n"
    assert "case 7" in out("holds")
    assert json.loads(out("holds", "--json"))["holds"][0]["run"] == RUNS[0]
    out("forward", "--once")
    would = run("purge", "label1", "label2", "--reason", "old", "--dry-run", "--json")
    assert json.loads(would.output) == {
        "purged": {RUNS[1]: 7},
        "kept": {RUNS[0]: {"slug": "purge.held", "what": "It is under a legal hold: case 7"}},
    }
    done = run("purge", "label1", "label2", "--reason", "old")
    assert done.exit_code == 6
    assert f"purged {RUNS[1]}: 7 records" in done.output
    assert f"kept {RUNS[0]}" in done.output
    assert run("verify").exit_code == 0
    assert out("hold", RUNS[0], "--release", "--reason", "closed") == f"{RUNS[0]}: released\n"
    assert run("purge", RUNS[0], "--reason", "old", "--despite-sinks").exit_code == 0
    assert run("verify").exit_code == 0
    tail = out("tail", "host", "-n", "1")
    assert "control" in tail
    assert "what=purge" in tail


def test_a_purge_waits_for_the_sinks_of_the_settings(logs: Path) -> None:
    done = run("purge", "label1", "--reason", "old", "--json")
    behind = {"slug": "purge.not-forwarded", "what": "Not forwarded to disk yet."}
    assert json.loads(done.output)["kept"] == {RUNS[0]: behind}
    assert "--despite-sinks purges also" in run("purge", "label1", "--reason", "old").output
    assert done.exit_code == 6
    out("forward", "--once")
    assert run("purge", "label1", "--reason", "old").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "slug"),
    [
        (("purge",), "purge.nothing"),
        (("purge", "--expired"), "purge.nothing"),
        (("purge", "host", "--reason", "x"), "purge.host"),
        (("purge", "label1"), "purge.reason"),
        (("purge", "nowhere", "--reason", "x"), "log.unknown"),
        (("hold", "label1"), "hold.reason"),
        (("hold", "label1", "--release", "--reason", "x"), "hold.none"),
    ],
)
def test_what_makes_no_sense_is_said(logs: Path, arguments: tuple[str, ...], slug: str) -> None:
    assert fault(*arguments).slug == slug


def test_notify_lists_and_tries(home: Path, tmp_path: Path) -> None:
    program = tmp_path / "notify-send"
    program.write_text(f'#!/bin/sh\necho "$@" > "{tmp_path}/out"\n')
    program.chmod(0o700)
    assert "No notifiers" in out("list", group=notify)
    (home / "settings.toml").write_text(
        f'[notify.here]\nkind = "desktop"\ncommand = "{program}"\n[notify.hook]\nkind = "webhook"\nurl = "https://x.example/"\nsigning_secret = "hook-key"\n'
    )
    assert [one["kind"] for one in json.loads(out("list", "--json", group=notify))["notifiers"]] == [
        "desktop",
        "webhook",
    ]
    assert "notify-send on this machine" in out("list", group=notify)
    assert (
        out("test", "here", "--link", "https://me.example/", group=notify)
        == "The notifier here took a test notice.\n"
    )
    assert "https://me.example/" in (tmp_path / "out").read_text()
    assert fault("test", "nobody", group=notify).slug == "notify.unknown"
    assert fault("test", "hook", group=notify).slug == "sink.secret"
    assert os.environ["BOT_BOTTLE_HOME"] == str(home)
