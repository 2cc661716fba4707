"""OCSF: 1.8 by the packaged schema, the attestation of 1.9 by our own check, which must catch what was changed."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

from bot_bottle.audit.checkpoint import Checkpoint, run_origin, sign
from bot_bottle.audit.entries import Entry
from bot_bottle.audit.formats import ocsf, ocsf18
from bot_bottle.audit.formats.ocsf_check import check
from bot_bottle.audit.keys import LogKey
from bot_bottle.audit.merkle import Edge, leaf_hash
from bot_bottle.audit.record import Kind

from .conftest import RUN, a_record, chain, hostile, samples


@cache
def schemas() -> OcsfJsonSchemaEmbedded:
    return OcsfJsonSchemaEmbedded(get_ocsf_schema(version="1.8.0"))


@cache
def validator(uid: int) -> Draft202012Validator:
    name = schemas().lookup_class_name_from_uid(uid)
    return Draft202012Validator(schemas().get_class_schema(name, ["security_control"]))


def problems(event: dict[str, Any]) -> list[str]:
    return [
        f"{'/'.join(map(str, one.path))}: {one.message}" for one in validator(event["class_uid"]).iter_errors(event)
    ]


def test_every_kind_is_valid_by_the_packaged_schema(entries: list[Entry]) -> None:
    classes: Counter[int] = Counter()
    for entry in entries:
        event = json.loads(ocsf18.line(entry))
        assert event["metadata"]["version"] == "1.8.0"
        assert problems(event) == [], entry.record
        classes[event["class_uid"]] += 1
    assert set(classes) == {4002, 4003, 2004, 6003}


def test_the_schema_would_say_so() -> None:
    """Positive control of the validator."""
    event = json.loads(ocsf18.line(chain([a_record(Kind.DENIED, method="GET", target="https://x:1")])[0]))
    assert problems(event) == []
    del event["metadata"]["product"]
    event["severity_id"] = 77
    event["http_request"]["http_method"] = "FETCH"
    assert len(problems(event)) == 3


def test_1_9_without_its_attestation_is_1_8(entries: list[Entry]) -> None:
    for entry in entries:
        event = json.loads(ocsf.line(entry))
        assert event["metadata"]["version"] == "1.9.0"
        event["metadata"] |= {"version": "1.8.0", "profiles": ["security_control"]}
        event.pop("attestation_list", None)
        event["unmapped"].pop("checkpoint", None)
        assert event == json.loads(ocsf18.line(entry))


@pytest.mark.parametrize(
    ("record", "uid", "activity"),
    [
        (a_record(Kind.DENIED, method="PATCH", verdict="deny"), 4002, 9),
        (a_record(Kind.INTENT, method="BREW"), 4002, 99),
        (a_record(Kind.NAME, target="x.example"), 4003, 1),
        (a_record(Kind.DENIED, findings=("aws-key",), verdict="deny"), 2004, 1),
        (a_record(Kind.LIMITED, count=3), 2004, 1),
        (a_record(Kind.ANSWER, approver="device/d1/phone"), 6003, 3),
        (a_record(Kind.START), 6003, 1),
    ],
)
def test_classes_and_activities(record, uid: int, activity: int) -> None:
    event = json.loads(ocsf18.line(chain([record])[0]))
    assert (event["class_uid"], event["activity_id"], event["type_uid"]) == (uid, activity, uid * 100 + activity)


def test_a_denial_says_that_it_was_blocked() -> None:
    event = json.loads(
        ocsf18.line(chain([a_record(Kind.DENIED, verdict="deny", rule="policy.no-route", findings=("k",))])[0])
    )
    assert (event["action_id"], event["disposition_id"], event["is_alert"]) == (2, 2, True)
    assert event["firewall_rule"] == {"uid": "policy.no-route"}


@pytest.fixture
def signed(key: LogKey) -> list[dict[str, Any]]:
    """Events of a whole log, the last one with its checkpoint."""
    found = chain([*samples(), *hostile()[:10]])
    edge = Edge()
    edge.extend([leaf_hash(entry.line) for entry in found])
    note = sign(Checkpoint(run_origin(RUN), len(found), edge.root()), key)
    found[-1] = replace(found[-1], note=note)
    return [json.loads(ocsf.line(entry)) for entry in found]


def test_an_untouched_log_has_no_problems(signed, key: LogKey) -> None:
    assert check(signed, key.public) == []
    assert check(signed) == []
    assert check([*signed, *signed[3:9]], key.public) == [], "a repeat is no problem"
    assert check(signed[5:], key.public) == [], "a part of a log has no root to check"
    last = signed[-1]["attestation_list"][0]
    assert last["chain_uid"] == last["authority_uid"] == run_origin(RUN)
    assert last["signatures"][0]["serialization"] == ocsf.SERIALIZATION
    assert "prev_event" not in signed[0]["attestation_list"][0]
    assert signed[4]["attestation_list"][0]["prev_event"]["uid"] == f"{RUN}/3"


def _edit(events: list[dict[str, Any]]) -> None:
    events[3]["http_request" if "http_request" in events[3] else "message"] = "other"


def _edit_raw(events: list[dict[str, Any]]) -> None:
    events[3]["raw_data"] = events[3]["raw_data"].replace('"kind":"freeze"', '"kind":"thaw"').replace("one", "two")


def _edit_all(events: list[dict[str, Any]]) -> None:
    """A forger who also makes the fingerprint of the record and its successor's again."""
    changed = chain([a_record("thaw"), a_record("thaw", label="evil")])
    events[3] = json.loads(ocsf.line(replace(changed[1], number=3, before=leaf_hash(events[2]["raw_data"].encode()))))
    events[4]["attestation_list"][0]["prev_event"]["fingerprint"] = events[3]["attestation_list"][0]["fingerprint"]


def _remove(events: list[dict[str, Any]]) -> None:
    del events[3]
    for number, event in enumerate(events[3:], 3):
        event["metadata"] |= {"uid": f"{RUN}/{number}", "sequence": number}


def _swap(events: list[dict[str, Any]]) -> None:
    events[3]["raw_data"], events[4]["raw_data"] = events[4]["raw_data"], events[3]["raw_data"]


def _other_chain(events: list[dict[str, Any]]) -> None:
    events[3]["attestation_list"][0]["chain_uid"] = "bot-bottle/host"


def _other_root(events: list[dict[str, Any]]) -> None:
    events[-1]["attestation_list"][0]["signatures"][0]["digest"]["value"] = "00" * 32


def _twice(events: list[dict[str, Any]]) -> None:
    events.append(json.loads(ocsf.line(replace(chain([a_record("thaw")])[0], number=3))))


@pytest.mark.parametrize("change", [_edit, _edit_raw, _edit_all, _remove, _swap, _other_chain, _other_root, _twice])
def test_every_change_is_caught(change: Callable[[list[dict[str, Any]]], None], signed, key: LogKey) -> None:
    change(signed)
    assert check(signed, key.public) != []


def test_a_checkpoint_of_another_key_is_caught(signed) -> None:
    assert any("not signed by the pinned key" in one for one in check(signed, LogKey.generate().public))
