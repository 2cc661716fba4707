"""The demo's judge believes the host, not the agent."""

from dataclasses import replace

from bot_bottle.harnesses import load
from bot_bottle.harnesses.demo import judge, stage

FACTS = judge.Facts("sk-demo-real", keys=frozenset(["sk-demo-real"]), paths=("POST /v1/messages",))


def test_a_quiet_host_has_nothing_against_the_bottle() -> None:
    assert judge.against(FACTS) == []


def test_each_trace_on_the_host_counts() -> None:
    for facts in (
        replace(FACTS, arrived=("loopback: b'x'",)),
        replace(FACTS, keys=frozenset(["sk-demo-real", "sk-demo-THIEF"])),
        replace(FACTS, paths=("POST /v1/files",)),
        replace(FACTS, files_changed=True),
        replace(FACTS, leaked_to=("/x",)),
        replace(FACTS, output="... sk-demo-real ..."),
    ):
        assert len(judge.against(facts)) == 1


def test_a_way_that_was_not_tried_is_missed() -> None:
    rows = [judge.claimed(1, {"name": name, "out": False, "met": ""}) for name in list(judge.TITLES)[:-1]]
    assert judge.missing(rows) == [list(judge.TITLES.values())[-1]]


def test_only_a_plain_no_counts_as_held() -> None:
    for told in ({}, {"out": True}, {"out": None}, {"out": 0}):
        assert not judge.claimed(1, {"name": "straight", **told}).held


def test_lines_of_any_kind_are_events_or_nothing() -> None:
    assert judge.event('{"event": "way"}') == {"event": "way"}
    assert [judge.event(line) for line in ("", "x", "[1]", "[" * 100_000)] == [{}] * 4


def test_the_rogue_is_a_valid_harness_file() -> None:
    harness = load.parse(stage.harness_file("/usr/bin/python3"), "rogue.toml")
    program = next(one.content for one in harness.files)
    compile(program, "rogue.py", "exec")
    assert all(f"def {name}(" in program for name in judge.TITLES)
