"""A record as an OCSF event: which class, which activity, which fields. Pure.

Requests are HTTP Activity (4002), names DNS Activity (4003), findings and limits Detection Finding (2004), what
people and keepers do API Activity (6003). `raw_data` carries the leaf itself: an event loses nothing, and its fields
can be derived again from the record that the log proves.
"""

import ipaddress
import re
from typing import Any

from bot_bottle import __version__
from bot_bottle.audit.entries import MIRRORED, UNREADABLE, Entry
from bot_bottle.audit.formats.parts import Place, place_of, sentence, severity
from bot_bottle.audit.record import Kind, Record

Event = dict[str, Any]

HTTP, DNS, FINDING, API = 4002, 4003, 2004, 6003
_CATEGORY = {HTTP: 4, DNS: 4, FINDING: 2, API: 6}
_METHODS = {
    "CONNECT": 1, "DELETE": 2, "GET": 3, "HEAD": 4, "OPTIONS": 5, "POST": 6, "PUT": 7, "TRACE": 8, "PATCH": 9,
}  # fmt: skip
_OTHER = 99
_CREATE, _READ, _UPDATE, _DELETE = 1, 2, 3, 4
_OPERATIONS = {
    Kind.START: _CREATE, Kind.POLICY: _UPDATE, Kind.FREEZE: _UPDATE, Kind.THAW: _UPDATE, Kind.STOP: _DELETE,
    Kind.RECOVERED: _UPDATE, Kind.ASK: _CREATE, Kind.ANSWER: _UPDATE, Kind.SETTLED: _UPDATE, Kind.GRANT: _DELETE,
    Kind.REPORT: _CREATE, Kind.LEARN: _UPDATE, Kind.CONTROL: _UPDATE, Kind.CHECKPOINT: _CREATE, MIRRORED: _CREATE,
}  # fmt: skip
_ALLOWED, _DENIED, _OBSERVED = 1, 2, 3
_BLOCKED, _DELAYED, _LOGGED = 2, 14, 17
_HTTP_KINDS = (Kind.INTENT, Kind.PINNED, Kind.OUTCOME, Kind.DENIED, Kind.BODY)
_PORT = re.compile(r":\d{1,5}\Z")


def class_of(record: Record) -> int:
    """class_uid of a record."""
    if record.kind in (Kind.LIMITED, UNREADABLE) or (record.findings and record.kind == Kind.DENIED):
        return FINDING
    if record.kind in _HTTP_KINDS:
        return HTTP
    return DNS if record.kind == Kind.NAME else API


def event(entry: Entry, version: str) -> Event:
    """The whole event, without attestation. version: of OCSF, for metadata."""
    record = entry.record
    uid = class_of(record)
    activity, name = _activity(uid, record)
    out: Event = {
        "activity_id": activity,
        "activity_name": name,
        "category_uid": _CATEGORY[uid],
        "class_uid": uid,
        "type_uid": uid * 100 + activity,
        "time": max(0, record.time // 1_000_000),
        "severity_id": severity(record),
        "message": sentence(record),
        "metadata": _metadata(entry, version),
        "raw_data": entry.line.decode("ascii", "backslashreplace"),
        "unmapped": _unmapped(record),
        **_control(record),
    }
    out |= {HTTP: _http, DNS: _dns, FINDING: _finding, API: _api}[uid](entry)
    return out


def _activity(uid: int, record: Record) -> tuple[int, str]:
    if uid == HTTP:
        known = _METHODS.get(record.method, _OTHER)
        return known, record.method.capitalize() if known != _OTHER else record.method or "Other"
    if uid == API:
        return _OPERATIONS.get(record.kind, _OTHER), record.kind
    return 1, "Query" if uid == DNS else "Create"


def _metadata(entry: Entry, version: str) -> Event:
    record = entry.record
    return {
        "version": version,
        "product": {"name": "bot-bottle", "vendor_name": "bot-bottle", "version": __version__},
        "profiles": ["security_control"],
        "uid": entry.uid,
        "sequence": entry.number,
        "log_name": entry.origin,
        "log_version": str(record.v),
        "event_code": record.kind,
        **({"correlation_uid": f"{record.run}/{record.request}"} if record.request else {}),
    }


def _control(record: Record) -> Event:
    """What the policy did. `is_alert` where something was refused for what it carried."""
    policy = {"policy": {"uid": record.policy, "name": record.bottle}} if record.policy else {}
    rule = {"firewall_rule": {"uid": record.rule}} if record.rule else {}
    action, disposition = {
        "allow": (_ALLOWED, _ALLOWED),
        "deny": (_DENIED, _BLOCKED),
        "ask": (_OBSERVED, _DELAYED),
    }.get(record.verdict, (_OBSERVED, _LOGGED))
    return {
        "action_id": action,
        "disposition_id": disposition,
        "is_alert": bool(record.findings) or record.kind == UNREADABLE,
        **policy,
        **rule,
        **({"status_detail": record.reason} if record.reason else {}),
    }


def _unmapped(record: Record) -> Event:
    """What the class has no field for."""
    names = (
        "run", "agent", "harness", "entry", "query_names", "query_digest", "matched", "secrets", "findings", "count",
        "body_digest", "detail", "ask", "grant", "approver",
    )  # fmt: skip
    found = {name: getattr(record, name) for name in names}
    found["method"] = "" if record.method in _METHODS else record.method
    return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items() if value}  # pyright: ignore[reportUnknownArgumentType]


def _source(record: Record) -> Event:
    """The bottle as an endpoint; a record without one is the keeper's."""
    return {"name": record.label or "keeper", **({"uid": record.run} if record.run else {})}


def _target(record: Record) -> tuple[Place, Event]:
    place = place_of(record.target)
    out: Event = {"hostname": place.host} if place.host else {"name": "unknown"}
    if place.port:
        out["port"] = place.port
    address = _PORT.sub("", record.address).strip("[]") if record.address.count(":") == 1 else record.address
    address = address.partition("]")[0].strip("[]")
    try:
        out["ip"] = str(ipaddress.ip_address(address))
    except ValueError:
        pass
    return place, out


def _request(record: Record) -> Event:
    place, _ = _target(record)
    url: Event = {"path": record.path or "/", "scheme": place.scheme or "https"}
    if place.host:
        url |= {"hostname": place.host, "url_string": f"{record.target}{record.path}"}
    if place.port:
        url["port"] = place.port
    out: Event = {"url": url}
    if record.method in _METHODS:
        out["http_method"] = record.method
    if record.request:
        out["uid"] = str(record.request)
    if record.headers:
        out["http_headers"] = [{"name": name, "value": record.matched.get(name, "")} for name in record.headers]
    return out


def _http(entry: Entry) -> Event:
    record = entry.record
    out: Event = {
        "src_endpoint": _source(record),
        "dst_endpoint": _target(record)[1],
        "http_request": _request(record),
        "connection_info": {"direction_id": 2, "protocol_name": record.protocol or "tcp"},
    }
    if record.status:
        out |= {"http_response": {"code": record.status}, "status_id": 1 if record.status < 400 else 2}
    if record.up or record.down:
        out["traffic"] = {"bytes_out": record.up, "bytes_in": record.down, "bytes": record.up + record.down}
    if record.ms:
        out["duration"] = int(record.ms)
    return out


def _dns(entry: Entry) -> Event:
    record = entry.record
    denied = record.verdict == "deny"
    return {
        "query": {"hostname": place_of(record.target).host or record.target or record.path or "."},
        "src_endpoint": _source(record),
        "rcode_id": 5 if denied else 0,
        "rcode": "Refused" if denied else "NoError",
    }


def _finding(entry: Entry) -> Event:
    record = entry.record
    title = ", ".join(record.findings) or sentence(record)
    evidence: Event = {"src_endpoint": _source(record), "dst_endpoint": _target(record)[1]}
    if record.target:
        evidence["http_request"] = _request(record)
    return {
        "finding_info": {"uid": entry.uid, "title": title, "types": list(record.findings) or [record.kind]},
        "evidences": [evidence],
        "status_id": 1,
        **({"count": record.count} if record.count else {}),
    }


def _api(entry: Entry) -> Event:
    record = entry.record
    return {
        "actor": _actor(record),
        "api": {"operation": record.kind, "service": {"name": "bot-bottle"}},
        "src_endpoint": _source(record),
        **({"resources": [{"name": record.label, "type": "bottle", "uid": record.run}]} if record.label else {}),
    }


def _actor(record: Record) -> Event:
    if record.approver:
        return {"user": {"name": record.approver}}
    if record.agent or record.harness:
        return {"app_name": record.agent or record.harness, "invoked_by": "bot-bottle"}
    return {"app_name": "bot-bottle keeper"}
