"""`policy learn`, `test`, `diff` and `replay`, run as a person runs them over the logs of a home."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bot_bottle.audit.encode import encode
from bot_bottle.audit.record import VERSION, Record
from bot_bottle.base.errors import ManifestFault, UsageFault
from bot_bottle.base.home import Home
from bot_bottle.bottles import past
from bot_bottle.cli import policy
from unit.cli.test_policy_command import place, run

__all__ = ["place"]
NAMES = ("amber", "basil", "cedar", "delta", "ember")


def record(run_id: str, number: int, path: str, **values: Any) -> Record:
    plain: dict[str, Any] = {
        "kind": "intent", "target": "https://packages.example:443", "method": "GET", "protocol": "http1",
        "verdict": "allow", "rule": "default/learn",
    }  # fmt: skip
    return Record(
        v=VERSION, run=run_id, time=number, mono=number, bottle="work", agent="a", harness="h", label="l", policy="p",
        request=number, path=path, **{**plain, **values},
    )  # fmt: skip


def write_log(home: Path, run_id: str, *records: Record) -> None:
    folder = home / "log/runs" / run_id / "journal"
    folder.mkdir(parents=True)
    (folder / f"{0:016d}").write_bytes(b"".join(encode(one) for one in records))


@pytest.fixture
def recorded(place: Path) -> Path:
    """Five runs: each reads one package and posts to one path, and one of them tried three bad things."""
    for number, name in enumerate(NAMES):
        rows = [
            record(f"r{number}", 1, f"/simple/{name}/"),
            record(f"r{number}", 2, f"/simple/{name}/", kind="outcome"),
            record(f"r{number}", 3, "/in", method="POST", target="https://hooks.example:443"),
            record(f"r{number}", 4, "/v1/x", rule="work/read", target="https://api.example.com:443"),
        ]
        if not number:
            denied = {"kind": "denied", "verdict": "deny", "rule": ""}
            rows += [
                record("r0", 5, "/simple/secret-name/", **denied, reason="policy.host-not-allowed"),
                record("r0", 6, "/other", **denied, reason="policy.host-not-allowed"),
                record("r0", 7, "/simple/zebra/", **denied, reason="custody.secret-sent"),
            ]
        write_log(place, f"r{number}", *rows)
    return place


def test_logs_are_read(recorded: Path) -> None:
    home = Home(str(recorded), "")
    assert past.runs_of(home) == [f"r{n}" for n in range(5)] and past.runs_of(home, ["r2", "r2"]) == ["r2"]
    assert len(list(past.lines(home, past.runs_of(home)))) == 18
    with pytest.raises(UsageFault):
        past.runs_of(home, ["nothing"])


def test_learn_suggests_what_can_be_pasted(recorded: Path) -> None:
    text = run(policy.command, "learn").stdout
    assert "    - host: packages.example\n" in text and "    - host: hooks.example\n" in text
    assert "of runs left out while learning, 100.0 % of 10 requests were covered" in text
    assert "would also allow 2 past requests that did not leave" in text and "/simple/secret-name/" in text
    body = text.partition("# from")[0]
    (recorded / "bottles/pasted.md").write_text(f"---\n{body}---\n")
    assert run(policy.command, "check", "https://packages.example/simple/other/", "--bottle", "pasted").exit_code == 0
    assert run(policy.command, "check", "https://packages.example/other", "--bottle", "pasted").exit_code == 11
    assert "api.example.com" not in text


def test_learn_in_json_from_denied_and_from_one_run(recorded: Path) -> None:
    made = json.loads(run(policy.command, "learn", "--json", "--denied", "r0").stdout)
    assert [route["host"] for route in made["routes"]] == ["hooks.example", "packages.example"]
    assert made["worth"]["runs"] == 1 and made["worth"]["held"] == 0
    assert "/other" in json.dumps(made["routes"]) and "zebra" not in json.dumps(made)
    assert "one run only" in run(policy.command, "learn", "r0").stdout


def test_a_label_names_its_newest_run_as_in_all_of_log(recorded: Path) -> None:
    host = recorded / "log/host/journal"
    host.mkdir(parents=True)
    rows = [msgspec.structs.replace(record(f"r{n}", n, ""), kind="start", target="") for n in (0, 1)]
    (host / f"{0:016d}").write_bytes(b"".join(encode(one) for one in rows))
    assert (
        json.loads(run(policy.command, "learn", "l", "--json").stdout)["worth"]
        == json.loads(run(policy.command, "learn", "r1", "--json").stdout)["worth"]
    )
    counts = [
        json.loads(run(policy.command, "replay", "work", name, "--json").stdout)["counts"] for name in ("l", "r1")
    ]
    assert counts[0] == counts[1]
    missing = run(policy.command, "learn", "nobody", fails=UsageFault)
    assert "bot-bottle log search" in str(missing.exception)


def test_where_nothing_is_recorded_it_is_said(place: Path) -> None:
    assert run(policy.command, "learn").stdout == "Nothing to learn from: no request is recorded.\n"
    replayed = run(policy.command, "replay", "work")
    assert (replayed.exit_code, replayed.stdout) == (0, "No request is recorded.\n")
    assert json.loads(run(policy.command, "replay", "work", "--json").stdout)["counts"] == {}


def test_nothing_to_learn_from(recorded: Path) -> None:
    found = run(policy.command, "learn", "--bottle", "other")
    assert found.exit_code == 1 and "Nothing to learn from" in found.stdout


def test_learn_writes_with_a_diff_and_keeps_the_rest(recorded: Path) -> None:
    before = (recorded / "bottles/work.md").read_text()
    nobody = run(policy.command, "learn", "--write", "work", fails=UsageFault)  # there is no terminal to say yes at
    assert "Nothing was written. Use --yes" in str(nobody.exception)
    assert (recorded / "bottles/work.md").read_text() == before
    done = run(policy.command, "learn", "--write", "work", "--yes")
    after = (recorded / "bottles/work.md").read_text()
    assert "+    - host: packages.example" in done.stderr and "is written" in done.stderr
    assert [line for line in before.splitlines() if line not in after.splitlines()] == []
    assert (
        run(policy.command, "check", "https://hooks.example/in", "--method", "POST", "--bottle", "work").exit_code
        == 0
    )


ASKED = "https://ask.example.com:443"


def test_what_an_ask_route_of_the_file_decides_is_left_out_and_said(recorded: Path) -> None:
    """An ask beats an allow: a rule that can never decide is not written beside it."""
    write_log(recorded, "r7", record("r7", 1, "/a", target=ASKED), record("r7", 2, "/b", target=ASKED))
    done = run(policy.command, "learn", "--write", "work", "--yes")
    told = "# left out: 2 requests to ask.example.com: the ask route work/held still decides about them"
    assert told in done.stdout and "host: ask.example.com" not in done.stdout
    after = (recorded / "bottles/work.md").read_text()
    assert after.count("ask.example.com") == 1 and "packages.example" in after
    assert "host: ask.example.com" in run(policy.command, "learn").stdout  # no file is named: nothing beats it


def test_where_all_is_decided_by_the_file_nothing_is_written(recorded: Path) -> None:
    before = (recorded / "bottles/work.md").read_text()
    write_log(
        recorded,
        "r7",
        record("r7", 1, "/a", target=ASKED),
        record("r7", 2, "/v1/y", target="https://api.example.com:443"),
    )
    done = run(policy.command, "learn", "r7", "--write", "work", "--yes")
    assert done.exit_code == 1 and "the ask route work/held still decides" in done.stdout
    assert "1 request to api.example.com: the allow route work/read decides about it already" in done.stdout
    assert (recorded / "bottles/work.md").read_text() == before
    left = json.loads(run(policy.command, "learn", "r7", "--write", "work", "--yes", "--json").stdout)["left"]
    assert [(one["verdict"], one["rule"], one["requests"]) for one in left] == [
        ("allow", "work/read", 1),
        ("ask", "work/held", 1),
    ]


def test_a_shipped_bottle_keeps_what_it_gives(recorded: Path) -> None:
    assert run(policy.command, "learn", "--write", "github-read", "--yes").exit_code == 0
    text = (recorded / "bottles/github-read.md").read_text()
    assert "api.github.com" in text and "packages.example" in text
    run(policy.command, "learn", "--write", "../evil", "--yes", fails=UsageFault)


def test_assertions_beside_a_bottle(recorded: Path) -> None:
    run(policy.command, "test", fails=UsageFault)
    beside = recorded / "bottles/work.test.yaml"
    beside.write_text(
        "allow: [https://api.example.com/v1/x]\nask: [https://ask.example.com/]\ndeny: [https://evil.example]\n"
    )
    good = run(policy.command, "test")
    assert (good.exit_code, good.stdout) == (0, "work: 3 of 3 assertions hold\n")
    beside.write_text("allow:\n  - https://evil.example/\n  - https://api.example.com/v1/x\n")
    bad = run(policy.command, "test", "work")
    assert bad.exit_code == 1 and "line 2: https://evil.example/: wanted allow, got deny" in bad.stdout
    told = json.loads(run(policy.command, "test", "work", "--json").stdout)
    assert told["failed"] == 1 and told["bottles"]["work"]["failures"][0]["line"] == 2
    beside.write_text("alow: []\n")
    run(policy.command, "test", "work", fails=ManifestFault)
    run(policy.command, "test", "work", "--file", "/nowhere", fails=UsageFault)


CANDIDATE = "---\nextends: work\negress:\n  default: ask\n  routes:\n    - {name: read, host: other.example}\n---\n"


def test_diff_of_a_bottle_and_a_file(recorded: Path, tmp_path: Path) -> None:
    candidate = tmp_path / "candidate.md"
    candidate.write_text(CANDIDATE)
    found = run(policy.command, "diff", "work", str(candidate))
    assert found.exit_code == 1
    assert "+ allowed: any method https://other.example" in found.stdout
    assert "- no longer allowed: GET https://api.example.com /v1/ and below" in found.stdout
    assert "~ default: deny -> ask" in found.stdout
    same = run(policy.command, "diff", "work", "work")
    assert (same.exit_code, same.stdout) == (0, "No difference: every request is decided alike.\n")
    assert json.loads(run(policy.command, "diff", "work", "work", "--json").stdout)["gained"] == []
    run(policy.command, "diff", "work", "/nowhere.md", fails=UsageFault)


def test_replay_over_the_logs(recorded: Path, tmp_path: Path) -> None:
    found = run(policy.command, "replay", "work")
    assert found.exit_code == 1
    assert "10  would be denied" in found.stdout and "7  decided alike" in found.stdout
    assert "5 x lost: POST hooks.example:443/in was allow" in found.stdout
    learned = run(policy.command, "learn", "--write", "work", "--yes")
    assert learned.exit_code == 0
    tally = json.loads(run(policy.command, "replay", "work", "--json").stdout)
    assert tally["counts"] == {"same": 6, "other-rule": 10, "gained": 1, "refused": 1}
    assert tally["groups"][0]["path"] == "/simple/secret-name/"
    assert run(policy.command, "replay", "work", "r1", "r2").exit_code == 0
    headed = CANDIDATE.replace(
        "host: other.example", "host: packages.example, matches: [{headers: [{name: x, type: exact, value: a}]}]"
    )
    (tmp_path / "candidate.md").write_text(headed)
    write_log(recorded, "r9", msgspec.structs.replace(record("r9", 1, "/simple/x/"), headers=("x",)))
    odd = run(policy.command, "replay", str(tmp_path / "candidate.md"), "r9")
    assert odd.exit_code == 1 and "the value of header x was not recorded" in odd.stdout


def test_texts_of_strangers_are_made_visible(recorded: Path) -> None:
    evil = record("r8", 1, "/a", target="https://packages.example:443", method="GE\x1b[31mT")
    write_log(recorded, "r8", evil)
    assert (
        "\x1b" not in run(policy.command, "learn", "r8").stdout + run(policy.command, "replay", "work", "r8").stdout
    )
