"""`bot-bottle log`: every verb, --json, exit code 7 for a bad log, nothing raw of a stranger."""

import json
import os
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bot_bottle.audit.checkpoint import run_origin
from bot_bottle.audit.hostlog import HostLog
from bot_bottle.audit.keys import LogKey
from bot_bottle.audit.record import VERSION, Record
from bot_bottle.audit.runlog import RunLog
from bot_bottle.base.errors import BottleError
from bot_bottle.cli.log import command

RUNS = ("20261125t010000-000000000001", "20261125t020000-000000000002")


def record(kind: str, run: str, **fields: object) -> Record:
    base: dict[str, object] = {"time": 1_700_000_000_000_000_000, "mono": 1, "bottle": "b", "agent": "a",
                               "harness": "h", "label": "lab", "policy": "p"}  # fmt: skip
    return Record(v=VERSION, kind=kind, run=run, **(base | fields))  # type: ignore[arg-type]


@pytest.fixture
def logs(home: Path) -> Path:
    key = LogKey.open(str(home / "keys"))
    host = HostLog.open(str(home / "log/host"), key)
    for run in RUNS:
        log = RunLog.create(str(home / "log/runs" / run), run_origin(run), key)
        for sink in (host, log):
            sink.append(record("start", run))
        evil = "\x1b[31m\u202e"
        log.append(
            record("denied", run, request=1, verdict="deny", target="https://evil.example:443", path=f"/{evil}")
        )
        log.append(
            record("intent", run, request=2, verdict="allow", target="https://api.example.com:443", path="/=1")
        )
        log.append(record("outcome", run, request=2, status=200, up=5, down=7, ms=1.5))
        host.countersign(record("start", run), log.checkpoint())
        (home / f"{run}.checkpoint").write_bytes(log.note)
        host.countersign(record("start", run), log.close(record("stop", run)))
        host.append(record("stop", run))
    return home


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, list(arguments), catch_exceptions=True)


def lines(*arguments: str) -> list[str]:
    done = run(*arguments)
    assert done.exit_code == 0, done.output
    return done.output.splitlines()


def test_tail_of_the_newest_run_by_label_and_by_id(logs: Path) -> None:
    assert len(lines("tail")) == 5
    assert lines("tail", "lab") == lines("tail", RUNS[1]) == lines("tail")
    assert len(lines("tail", RUNS[0], "-n", "2")) == 2
    assert lines("tail", "-n", "0") == []
    assert json.loads(lines("tail", "--json", "-n", "1")[0])["kind"] == "stop"
    assert "policy" not in lines("tail", "host", "-n", "1")[0]


def test_b73_a_person_sees_no_control_character(logs: Path) -> None:
    for shown in (run("tail"), run("search", "evil"), run("show", "lab", "1"), run("export", "--format", "csv")):
        assert "\x1b" not in shown.output
        assert "\u202e" not in shown.output
        assert "1b" in shown.output, "positive control: it is there, escaped"


def test_search(logs: Path) -> None:
    assert len(lines("search", "--host", "evil.example")) == 2
    hits = [json.loads(line) for line in lines("search", "--verdict", "allow", "--run", RUNS[0], "--json")]
    assert [(hit["run"], hit["number"], hit["record"]["kind"]) for hit in hits] == [(RUNS[0], 2, "intent")]
    assert lines("search", "nothing of the kind") == []
    assert len(lines("search", "--kind", "stop", "--since", "1h")) == 0
    assert "den is no verdict" in str(run("search", "verdict:den").exception)
    for verb in (("search",), ("export", "all")):
        refused = run(*verb, "--kind", "denid")
        assert refused.exit_code == 2 and "'denid' is not one of 'start'" in refused.output
    fault = run("search", "--since", "soon").exception
    assert isinstance(fault, BottleError)
    assert fault.exit_code == 2


def test_show_and_export(logs: Path, tmp_path: Path) -> None:
    assert "target        https://api.example.com:443" in lines("show", "lab", "2")
    assert json.loads(lines("show", "lab", "2", "--json")[0])["request"] == 2
    assert len(lines("export")) == 5
    out = tmp_path / "out.csv"
    lines("export", RUNS[0], "--format", "csv", "-o", str(out))
    assert out.read_bytes().count(b"\r\n") == 6


def test_verify_says_sealed_and_exits_0(logs: Path) -> None:
    shown = lines("verify")
    assert [line.split(":")[1].strip() for line in shown if not line.startswith(" ")] == ["sealed"] * 3
    document = json.loads(lines("verify", "--json")[0])
    assert document["ok"]
    assert set(document["logs"]) == {"host", *RUNS}
    assert lines("verify", "lab", "--against", str(logs / f"{RUNS[1]}.checkpoint"))
    assert lines("verify", "--against", str(logs / f"{RUNS[0]}.checkpoint"))[0].startswith(RUNS[0])
    assert lines("verify", "--directory", str(logs / "log/runs" / RUNS[0]))


def test_verify_against_what_the_summary_printed(logs: Path) -> None:
    size, root = (logs / f"{RUNS[1]}.checkpoint").read_text().split("\n")[1:3]
    for text in (f"{size} {root}", f"checkpoint {size} {root}", f"{size}:{root}"):
        assert lines("verify", "lab", "--against", text)[0].startswith(RUNS[1])
    assert lines("verify", "--against", f"{size} {root}")[0].startswith(RUNS[1])
    assert run("verify", RUNS[0], "--against", f"{size} {root}").exit_code == 7, "another run's head"
    assert run("verify", "lab", "--against", f"99 {root}").exit_code == 7
    (logs / "empty").touch()
    for wrong in ("nonsense", str(logs / "empty"), str(logs)):
        fault = run("verify", "--against", wrong).exception
        assert isinstance(fault, BottleError)
        assert fault.exit_code == 2


def test_verify_exits_7_when_bad(logs: Path) -> None:
    path = logs / "log/runs" / RUNS[0] / "tile/entries/000.p/5"
    path.write_bytes(path.read_bytes().replace(b"evil", b"good"))
    for arguments in (("verify",), ("verify", RUNS[0]), ("verify", "--json")):
        done = run(*arguments)
        assert done.exit_code == 7, done.output
        assert "Record 1 was edited." in done.output
    assert run("verify", RUNS[1]).exit_code == 0
    shutil.rmtree(logs / "log/runs" / RUNS[1])
    assert "vanished" in run("verify", RUNS[1]).output
    assert run("verify", RUNS[1]).exit_code == 7


def test_verify_takes_a_fingerprint(logs: Path) -> None:
    other = LogKey.generate().fingerprint
    assert run("verify", "--fingerprint", other).exit_code == 7
    pinned = (logs / "keys/log.fingerprint").read_text().strip()
    os.unlink(logs / "keys/log.fingerprint")
    assert run("verify", "--fingerprint", pinned).exit_code == 0
    fault = run("verify").exception
    assert isinstance(fault, BottleError)
    assert fault.slug == "audit.no-key"


def test_proof(logs: Path) -> None:
    text = run("proof", "lab", "1").output
    assert text.startswith("c2sp.org/tlog-proof@v1\nindex 1\n")
    document = json.loads(lines("proof", "lab", "1", "--json")[0])
    assert document["proof"] == text
    assert json.loads(document["record"])["verdict"] == "deny"
    path = logs / "log/runs" / RUNS[1] / "tile/entries/000.p/5"
    path.write_bytes(path.read_bytes().replace(b"evil", b"good"))
    fault = run("proof", "lab", "1").exception
    assert isinstance(fault, BottleError)
    assert fault.exit_code == 7, "no proof is given away that does not hold"


@pytest.mark.parametrize(
    "arguments", [("tail", "nope"), ("tail", "../.."), ("show", "lab", "99"), ("proof", "lab", "99")]
)
def test_what_is_not_there_is_one_sentence(logs: Path, arguments: tuple[str, ...]) -> None:
    fault = run(*arguments).exception
    assert isinstance(fault, BottleError)
    assert fault.exit_code == 2


def test_an_empty_home(home: Path) -> None:
    fault = run("tail").exception
    assert isinstance(fault, BottleError)
    assert lines("search") == []
