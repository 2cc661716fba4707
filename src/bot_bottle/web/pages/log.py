"""Log: search with the filter language, one record with its proof, checking of logs, and the way to an export."""

from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bot_bottle.audit import filters
from bot_bottle.audit.encode import decode
from bot_bottle.audit.entries import signed
from bot_bottle.audit.filters import FilterFault
from bot_bottle.audit.index import HOST, Key
from bot_bottle.audit.index_rows import UNCONNECTED
from bot_bottle.audit.record import Kind, Record
from bot_bottle.base.errors import AuditFault, BottleError, HostFault
from bot_bottle.web.api import cursor, records
from bot_bottle.web.api.exports import EXPORT, FORMATS
from bot_bottle.web.api.operation import fill
from bot_bottle.web.api.reach import RunsWish, list_runs
from bot_bottle.web.api.records import OneRecord, WhichLog
from bot_bottle.web.api.routes import download
from bot_bottle.web.look import target_host
from bot_bottle.web.page import desk, fields, page
from bot_bottle.web.pages.live import heads
from bot_bottle.web.problem import WebFault, status_of
from bot_bottle.web.rows import ended_early, judged, of_line
from bot_bottle.web.telling import told

ROWS = 100
_BUDGET = 0.2
_NOTHING = "Nothing was sent: the name was never looked up."


async def search(request: Request) -> Response:
    return await run_in_threadpool(_search, request)


def _search(request: Request) -> Response:
    at, query = desk(request), request.query_params
    text = query.get("q", "")[: filters.MAX_FILTER + 1]
    shown: dict[str, Any] = {
        "q": text, "fault": None, "shown_rows": (), "older": "", "complete": True, "indexed": True, "looked": 0,
        "reached": 0, "heads": {}, "records": 0, "runs": 0, "matching": None, "paged": bool(query.get("before")),
        "seals": _seals(at), "formats": FORMATS,
    }  # fmt: skip
    try:
        wanted = filters.parse(text)
        before = cursor.decode(query["before"], Key) if query.get("before") else None
    except FilterFault as fault:
        return page(request, "log.html", tab="log", status=422, **(shown | {"fault": fault}))
    shown["indexed"] = at.office.watch.fresh()
    index = at.index()
    found = index.page(wanted, at.clock(), ROWS, before, _BUDGET)
    total, runs = index.reach.totals()
    shown |= {
        "shown_rows": [of_line(hit.text, hit.run, hit.number) for hit in found.hits], "complete": found.complete,
        "older": cursor.encode(found.before) if found.before else "", "looked": found.looked,
        "reached": found.reached, "heads": heads(at, {hit.run for hit in found.hits}), "records": total, "runs": runs,
        "matching": index.count(wanted, at.clock()) if wanted.terms else total,
    }  # fmt: skip
    return page(request, "log.html", tab="log", **shown)


def _seals(at: Any) -> list[tuple[str, str, int, str]]:
    """(run, label, records under its checkpoint, state) of the newest runs; the host log first."""
    try:
        found = list_runs(at, RunsWish(limit=12)).items
    except (AuditFault, HostFault):
        return []
    sizes = heads(at, (HOST, *(one.run for one in found)))
    rows = [(HOST, "host log", sizes.get(HOST, 0), "always open")] if HOST in sizes else []
    for one in found:
        state = "purged" if one.purged else "ended" if one.ended else "open"
        rows.append((one.run, one.label or one.run, sizes.get(one.run, 0), state))
    return rows


async def record(request: Request) -> Response:
    return await run_in_threadpool(_record, request)


def _record(request: Request) -> Response:
    at = desk(request)
    which = _which(request)
    found = records.read_record(at, which)
    try:
        entry: Record | None = decode(found.line.encode() + b"\n")
    except AuditFault:
        entry = None
    shown: dict[str, Any] = {
        "run": found.run, "number": found.number, "line": found.line, "entry": entry, "sealed": found.sealed,
        "size": found.size, "why": why(entry) if entry else None, "fields": _fields(entry),
        "url": url_of(entry) if entry else "", "proof": None, "fault": None,
        "judged": judged(entry) if entry else ("", ""),
    }  # fmt: skip
    if request.query_params.get("part") == "why":
        return page(request, "why.html", tab="log", **shown)
    if request.query_params.get("proof"):
        try:
            shown["proof"] = records.prove_record(at, which)
        except BottleError as error:
            shown["fault"] = error
    return page(request, "record.html", tab="log", **shown)


def why(entry: Record) -> tuple[str, str]:
    """(what happened, what that means), in words, from the record alone."""
    rule = f"rule {entry.rule}" if entry.rule else "no rule"
    match entry.kind:
        case Kind.DENIED if entry.rule:
            return "Denied", f"because {rule} says so ({entry.reason}). {_NOTHING}"
        case Kind.DENIED:
            return "Denied", f"({entry.reason}): no rule allows it. {_NOTHING}"
        case Kind.ASK:
            return "Held", f"because {rule} asks a person. Nothing was sent."
        case Kind.NAME:
            return "A name was asked for", "Answered by the gateway itself; no resolver heard of it."
        case Kind.OUTCOME if entry.reason:
            by = (entry.approver or "a person") if entry.grant else rule
            left = " No connection was made: nothing of it left." if entry.reason in UNCONNECTED else ""
            return ended_early(entry.reason)[1], f"({entry.reason}) after {by} had allowed it.{left}"
        case Kind.INTENT | Kind.OUTCOME if entry.grant:
            who = entry.approver or "a person"
            return "Allowed", f"because {who} said so (ask {entry.ask}, grant {entry.grant})."
        case Kind.INTENT | Kind.OUTCOME:
            return "Allowed", f"by {rule}."
        case Kind.ANSWER:
            said = f"yes, {entry.detail.get('scope', '')}" if entry.verdict == "allow" else "no"
            return "Answered", f"{entry.approver or 'A person'} said {said} (ask {entry.ask})."
        case _:
            return judged(entry)[1], entry.reason if entry.target else told(entry)


def url_of(entry: Record) -> str:
    """The request as the tester takes it."""
    if not entry.method or not entry.target.startswith(("http://", "https://")):
        return ""
    scheme = entry.target.partition("://")[0]
    return f"{scheme}://{target_host(entry.target)}{entry.path}"


def _fields(entry: Record | None) -> list[tuple[str, str]]:
    """Every field that says something, in the order of the line."""
    if entry is None:
        return []
    said: list[tuple[str, str]] = []
    for name, value in msgspec.to_builtins(entry).items():
        if isinstance(value, dict):
            pairs = msgspec.convert(value, dict[str, str])
            said += [(f"{name}.{key}", text) for key, text in pairs.items()]
        else:
            said.append((name, value if isinstance(value, str) else msgspec.json.encode(value).decode()))
    return said


def _which(request: Request) -> OneRecord:
    try:
        return msgspec.convert(dict(request.path_params), OneRecord, strict=False)
    except msgspec.ValidationError:
        raise WebFault(404, "record.unknown", "There is no such record.") from None


async def check(request: Request) -> Response:
    """Reads a log whole; a fragment for htmx, else a page."""
    desk(request)
    values = fields(await request.body())
    return await run_in_threadpool(_check, request, values.get("run", ""), values.get("fingerprint", "").strip())


async def progress(request: Request) -> Response:
    """How far a check has got, or what it found."""
    desk(request)
    return await run_in_threadpool(_check, request, request.query_params.get("run", ""), "", again=True)


def _check(request: Request, run: str, fingerprint: str, again: bool = False) -> Response:
    shown: dict[str, Any] = {"run": run, "checked": None, "fault": None, "fingerprint": fingerprint, "check": None}
    status, at = 200, desk(request)
    try:
        wish = msgspec.convert({"run": run, "fingerprint": fingerprint}, WhichLog)
        size = signed(records.directory(at, run))[0]
        check = at.office.checks.find(run) if again else None
        check = check or at.office.checks.begin(run, size, lambda told: records.check_log(at, wish, told))
        shown["check"], shown["checked"] = check, check.wait(0.7 if "hx-request" in request.headers else 600)
    except msgspec.ValidationError:
        shown["fault"], status = WebFault(422, "log.unknown", "There is no such log."), 422
    except BottleError as error:
        shown["fault"], status = error, status_of(error)
    return page(request, "checked.html", tab="log", status=status, **shown)


async def export(request: Request) -> Response:
    """What the filter fits, as a file."""
    given = {name: request.query_params[name] for name in ("q", "format") if name in request.query_params}
    return download(EXPORT.call(desk(request), fill(EXPORT, given)))


ROUTES = [
    Route("/log", search, methods=["GET"]),
    Route("/log/export", export, methods=["GET"]),
    Route("/log/check", check, methods=["POST"]),
    Route("/log/check", progress, methods=["GET"]),
    Route("/record/{run}/{number}", record, methods=["GET"]),
]
