"""What exactly an agent asks for with `request_access`; what no answer could allow is refused at once (B74). Pure."""

import re
from typing import NamedTuple
from urllib.parse import urlsplit

from bot_bottle.egress.mcp.answers import PORTS, Result, refused, url_text
from bot_bottle.egress.mcp.catalogue import RequestAccess
from bot_bottle.egress.mcp.words import LIFTED
from bot_bottle.policy.addresses import AddressClass, classify
from bot_bottle.policy.decide import ASK, Compiled, decide
from bot_bottle.policy.grants import DEFAULT
from bot_bottle.policy.hosts import INSIDE, canonical_host, is_address, is_inside, is_loopback_name
from bot_bottle.policy.paths import canonical_path
from bot_bottle.policy.verdict import Kind, Request, Target, Verdict
from bot_bottle.supervise.model import Wanted
from bot_bottle.supervise.risk import METHODS

_METHOD = re.compile(r"[A-Z][A-Z-]{0,31}\Z")


class Found(NamedTuple):
    """rule: the ask route that covers it, or `DEFAULT`. reason, hint: why it is not allowed now."""

    wanted: Wanted
    rule: str
    reason: str
    hint: str


def wanted(compiled: Compiled, arguments: RequestAccess) -> Found | Result:
    """The question to a person, or the answer where none is needed or none could help."""
    try:
        target, path = _place(arguments)
        methods = _wished(arguments.methods)
    except ValueError as fault:
        return refused(f"{str(fault)[:1].upper()}{str(fault)[1:]}.")
    if is_inside(target.host):
        return refused(f"{INSIDE} is this bottle's own name; nothing of it needs a permission.")
    closed = _closed(target.host)
    if closed:
        what = f"{target.host} is a {closed} address, which no answer can open."
        return Result("refused", what, {"reason": f"address.{closed}"}, error=True)
    return _judged(compiled, target, path, methods)


def left_out(arguments: RequestAccess) -> str:
    """What of the wish is not put to a person, in a sentence; "" where all of it is."""
    if not urlsplit(arguments.url).query:
        return ""
    return "The query of the URL was left out: a yes is for any query."


def _closed(host: str) -> str:
    """The class of an address that only a route with ``address:`` reaches; "" for all else."""
    if is_loopback_name(host):
        return AddressClass.LOOPBACK.value
    kind = classify(host) if is_address(host) else AddressClass.PUBLIC
    return "" if kind.dialable else kind.value


def _judged(compiled: Compiled, target: Target, path: str, methods: tuple[str, ...]) -> Found | Result:
    requests = [Request(target, method, path) for method in methods]
    verdicts = [decide(compiled, request) for request in requests]
    wrong = next((one for one in verdicts if one.kind is Kind.DENY and one.reason not in LIFTED), None)
    if wrong is not None:
        data: dict[str, object] = {"rule": wrong.rule, "reason": wrong.reason}
        return Result("refused", f"No person is asked: {wrong.hint}", data, error=True)
    open_ones = [one for request, one in zip(requests, verdicts, strict=True) if not permits(compiled, request, one)]
    if not open_ones:
        url = url_text(target, path)
        return Result("allowed", "This is allowed already. Send the request.", {"url": url, "methods": list(methods)})
    rules = {one.rule if one.reason == ASK else DEFAULT for one in open_ones}
    if len(rules) > 1:
        return refused("Different rules decide about these methods; ask for each of them alone.")
    first = open_ones[0]
    asked = Wanted(target=target, path=path, methods=methods, secrets=_secrets(compiled, first))
    return Found(asked, rules.pop(), first.reason, first.hint)


def permits(compiled: Compiled, request: Request, verdict: Verdict) -> bool:
    """Whether a request would go: allowed, or asked about with a yes for once waiting for it."""
    if verdict.kind is not Kind.ASK:
        return verdict.kind is Kind.ALLOW
    grants = compiled.grants.get(request.target.host, ())
    return any(grant.once and grant.covers(verdict.rule, request) for grant in grants)


def _secrets(compiled: Compiled, verdict: Verdict) -> tuple[str, ...]:
    """Names of what the gateway would put in: for the person, never for the agent."""
    auth = compiled.policy.route(verdict.route).auth if verdict.reason == ASK else None
    return (auth.secret,) if auth is not None else ()


def _place(arguments: RequestAccess) -> tuple[Target, str]:
    """Raises ValueError."""
    if bool(arguments.url) == bool(arguments.host):
        raise ValueError("give either a url or a host")
    if not arguments.url:
        port = arguments.port or PORTS[arguments.scheme]
        return Target(arguments.scheme, canonical_host(arguments.host), port), canonical_path(arguments.path)
    return parse_url(arguments.url)


def parse_url(text: str) -> tuple[Target, str]:
    """Target and canonical path of an absolute http(s) URL, without query and fragment. Raises ValueError."""
    if any(c <= " " or c == "\x7f" for c in text):
        raise ValueError("a URL holds no space or control character")
    parts = urlsplit(text)
    if parts.scheme not in PORTS or not parts.netloc:
        raise ValueError("a URL begins with https:// or http:// and a host")
    if "@" in parts.netloc:
        raise ValueError("a URL holds no user name or password here")
    host = parts.netloc if parts.port is None else parts.netloc.rpartition(":")[0]
    port = parts.port if parts.port is not None else PORTS[parts.scheme]
    if not port:
        raise ValueError("a port is a number from 1 to 65535")
    return Target(parts.scheme, canonical_host(host.removesuffix(":")), port), canonical_path(parts.path or "/")


def canonical_methods(asked: list[str]) -> tuple[str, ...]:
    """In upper case, sorted, each once; GET where none is named. Raises ValueError."""
    methods = tuple(sorted({method.upper() for method in asked})) or ("GET",)
    if not all(_METHOD.match(method) for method in methods):
        raise ValueError("a method is a word like GET or POST")
    if "CONNECT" in methods:
        raise ValueError("CONNECT is no method of a request that could be allowed")
    return methods


def _wished(asked: list[str]) -> tuple[str, ...]:
    """The same, of `METHODS` alone: no person is to read words that an agent made up (B73). Raises ValueError."""
    if not {method.upper() for method in asked} <= set(METHODS):
        raise ValueError(f"a method is one of {', '.join(METHODS)}; send a request with another one itself")
    return canonical_methods(asked)
