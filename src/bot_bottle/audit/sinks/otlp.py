"""OTLP/HTTP logs as JSON, written by hand (one dictionary): no SDK, no exporter.

Field names and number spellings follow the protocol's JSON encoding (64-bit integers as strings, enums as numbers).
A collector that takes only part of a batch (`partialSuccess`) has not taken it: the batch is sent again.
"""

import gzip
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from bot_bottle import __version__
from bot_bottle.audit.encode import ascii_line
from bot_bottle.audit.entries import Entry
from bot_bottle.audit.formats.parts import severity
from bot_bottle.audit.formats.registry import format_of
from bot_bottle.audit.sinks.model import Secrets, SinkConfig, SinkFault, SinkKind, value_of
from bot_bottle.audit.sinks.post import Poster, Reply, must, url_problem

_SEVERITY = {1: (9, "INFO"), 2: (10, "INFO2"), 3: (13, "WARN"), 4: (17, "ERROR")}
_MOST_NANOS = 2**63 - 1


class OtlpConfig(SinkConfig, kw_only=True, frozen=True, tag="otlp", tag_field="kind"):
    """url: whole, with ``/v1/logs``. token_secret: bearer token. header, header_secret: another header and its
    value. ca: PEM file. plain: http to another machine is allowed."""

    url: str
    token_secret: str = ""
    header: str = ""
    header_secret: str = ""
    ca: str = ""
    compress: bool = True
    plain: bool = False


class _Partial(msgspec.Struct, rename="camel"):
    rejected_log_records: int | str = 0


class _Answer(msgspec.Struct, rename="camel"):
    partial_success: _Partial = msgspec.field(default_factory=_Partial)


class OtlpSink:
    """One connection."""

    settle = 0.0

    def __init__(self, config: OtlpConfig, secrets: Secrets) -> None:
        line = format_of(config.format).line
        assert line is not None
        self._line = line
        self._compress = config.compress
        self._poster = Poster(config.url, config.ca)
        self._headers = {"Content-Type": "application/json"}
        if config.token_secret:
            self._headers["Authorization"] = f"Bearer {_text(value_of(secrets, config.token_secret))}"
        if config.header:
            self._headers[config.header] = _text(value_of(secrets, config.header_secret))
        if config.compress:
            self._headers["Content-Encoding"] = "gzip"

    def send(self, batch: Sequence[Entry]) -> None:
        """The collector has acknowledged all of it."""
        body = document(batch, [self._line(entry) for entry in batch], time.time_ns())
        reply = self._poster.post(gzip.compress(body, 6, mtime=0) if self._compress else body, self._headers)
        must(reply, self._poster.host, time.time())
        rejected = rejected_in(reply)
        if rejected:
            raise SinkFault(f"{self._poster.host} rejected {rejected} of {len(batch)} records.")

    def check(self) -> None:
        """Nothing can be lost after `send`."""

    def close(self) -> None:
        """Idempotent."""
        self._poster.close()


def rejected_in(reply: Reply) -> int:
    """How many records a collector says that it did not take; a protobuf or empty answer says none."""
    if "json" not in reply.headers.get("content-type", "") or not reply.body.strip():
        return 0
    try:
        return int(msgspec.json.decode(reply.body, type=_Answer).partial_success.rejected_log_records)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
        return 0


def document(batch: Sequence[Entry], lines: Sequence[bytes], now: int) -> bytes:
    """An ExportLogsServiceRequest in printable ASCII. now: wall ns, when we saw them."""
    resource = [_attribute("service.name", "bot-bottle"), _attribute("service.version", __version__)]
    logs = [_record(entry, line, now) for entry, line in zip(batch, lines, strict=True)]
    scope = {"scope": {"name": "bot_bottle.audit", "version": __version__}, "logRecords": logs}
    return ascii_line(
        msgspec.json.encode({"resourceLogs": [{"resource": {"attributes": resource}, "scopeLogs": [scope]}]})
    )


def _record(entry: Entry, line: bytes, now: int) -> dict[str, Any]:
    record = entry.record
    number, text = _SEVERITY[severity(record)]
    named = {
        "bot_bottle.uid": entry.uid, "bot_bottle.log": entry.log, "bot_bottle.kind": record.kind,
        "bot_bottle.run": record.run, "bot_bottle.label": record.label, "bot_bottle.bottle": record.bottle,
        "bot_bottle.agent": record.agent, "bot_bottle.verdict": record.verdict,
        "bot_bottle.rule": record.rule, "url.full": record.target + record.path,
        "http.request.method": record.method, "network.peer.address": record.address,
    }  # fmt: skip
    attributes = [_attribute(key, value) for key, value in named.items() if value]
    if record.status:
        attributes.append({"key": "http.response.status_code", "value": {"intValue": str(record.status)}})
    return {
        "timeUnixNano": str(min(max(0, record.time), _MOST_NANOS)),
        "observedTimeUnixNano": str(now),
        "severityNumber": number,
        "severityText": text,
        "eventName": f"bot_bottle.{record.kind}",
        "body": {"stringValue": line.decode("utf-8", "replace").rstrip("\n")},
        "attributes": attributes,
    }


def _attribute(key: str, value: str) -> dict[str, Any]:
    return {"key": key, "value": {"stringValue": value}}


def _text(secret: bytes) -> str:
    return secret.decode("latin-1").strip()


def open_otlp(config: OtlpConfig, secrets: Secrets) -> OtlpSink:
    """The sink of a config that has no problems."""
    return OtlpSink(config, secrets)


def problems(config: OtlpConfig) -> list[tuple[str, str]]:
    """The address, and a header without a value."""
    why = url_problem(config.url, config.plain)
    found = [("url", why)] if why else []
    if bool(config.header) != bool(config.header_secret):
        found.append(("header", "and header_secret belong together"))
    if config.header and not config.header.replace("-", "").isalnum():
        found.append(("header", "is no header name"))
    return found


KIND = SinkKind("otlp", "OpenTelemetry logs over HTTP.", OtlpConfig, open_otlp, problems)
