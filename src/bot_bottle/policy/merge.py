"""THE merge rule, for `extends` and for ordered ``--bottle`` overlays alike.

Files are put in one order: parents left to right, each once, the child last; overlays one after the other. Then they
are folded from the first to the last:

- a single value (mode, log, sync, default, ask_body, ask_wait, learn, each limit): the later one wins where it is
  written;
- env by variable, mounts by target, routes by name: the later one replaces the earlier one in its place, others are
  added at the end. A route without a name has the digest of its content as its name, so equal routes are one;
- keep, caches, registries: all of them, each once.

The rule is associative. Then what is given without being written (the routes of the harness and of the registries)
is replaced, host by host, by the written routes for that host, and the policy notes it.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import msgspec
import rfc8785
from msgspec import UNSET

from bot_bottle.base.errors import ManifestFault, Problem, UsageFault
from bot_bottle.base.sizes import duration, size
from bot_bottle.policy import model
from bot_bottle.policy.check import BottleFile
from bot_bottle.policy.effective import ASK_BODY, ASK_WAIT, Policy, Route
from bot_bottle.policy.routes import effective_route, route_name

S = TypeVar("S", bound=msgspec.Struct)
Load = Callable[[str], BottleFile]


class Merged(msgspec.Struct, frozen=True):
    """Folded bottles. names: the files in merge order. bottle: values without routes. routes: effective, in order.
    default: ``file:line`` of the ``egress.default`` that holds, "" where none is written."""

    names: tuple[str, ...] = ()
    bottle: model.Bottle = model.Bottle()
    routes: tuple[Route, ...] = ()
    default: str = ""


def order(name: str, load: Load) -> list[BottleFile]:
    """A bottle and all that it extends, parents first, each once. Raises ManifestFault naming a cycle's chain."""
    files: dict[str, BottleFile] = {}
    _visit(name, load, (), files)
    return list(files.values())


def merge(files: Iterable[BottleFile]) -> Merged:
    """Folds checked files in their order."""
    merged = Merged()
    for file in files:
        merged = combine(merged, single(file))
    return merged


def single(file: BottleFile) -> Merged:
    """One file by itself."""
    routes: list[Route] = []
    for position, route in enumerate(file.bottle.egress.routes):
        origin = f"{file.file}:{file.lines[position]}" if position < len(file.lines) else file.file
        ca = file.authorities.get(route.tls.ca, "") if route.tls is not UNSET else ""
        if route.tls is not UNSET and not ca:
            raise ManifestFault([Problem("manifest.missing-ca", f"tls.ca {route.tls.ca} was not read", file.file)])
        routes.append(effective_route(route, file.name, origin, ca))
    default = f"{file.file}:{file.default}" if file.default else ""
    return Merged((file.name,), file.bottle, tuple(routes), default)


def combine(first: Merged, second: Merged) -> Merged:
    """The rule for two; `second` is the later one."""
    a, b = first.bottle, second.bottle
    bottle = model.Bottle(
        env={**a.env, **b.env},
        workspace=_workspace(a.workspace, b.workspace),
        limits=_later(a.limits, b.limits),
        egress=msgspec.structs.replace(
            _later(a.egress, b.egress),
            registries=list(dict.fromkeys([*a.egress.registries, *b.egress.registries])),
            routes=[],
        ),
    )
    routes = {_short(route): route for route in first.routes} | {_short(route): route for route in second.routes}
    default = second.default or first.default
    return Merged((*first.names, *second.names), bottle, tuple(routes.values()), default)


def effective(
    merged: Merged, name: str, given: Sequence[Route] = (), model_hosts: dict[str, str] | None = None
) -> Policy:
    """The policy of a bottle: written routes, and the given ones for hosts that no written route names."""
    written = {route.host for route in merged.routes}
    replaced: dict[str, list[str]] = {}
    for route in given:
        if route.host in written:
            replaced.setdefault(route.host, []).append(route.rule)
    routes = [_marked(route, replaced) for route in merged.routes]
    routes += [route for route in given if route.host not in written]
    notes = tuple(_note(host, rules, merged) for host, rules in replaced.items())
    egress = merged.bottle.egress
    policy = Policy(
        bottle=name,
        routes=tuple(routes),
        model_hosts=dict(model_hosts or {}),
        log=egress.log if egress.log is not UNSET else "blocks",
        sync=egress.sync if egress.sync is not UNSET else "batch",
        notes=notes,
        default=egress.default if egress.default is not UNSET else "deny",
        ask_body=size(egress.ask_body) if egress.ask_body is not UNSET else ASK_BODY,
        ask_wait=float(duration(egress.ask_wait)) if egress.ask_wait is not UNSET else ASK_WAIT,
        learn=egress.learn if egress.learn is not UNSET else "allow",
        default_origin=merged.default,
    )
    return msgspec.structs.replace(policy, digest=digest(policy))


def digest(policy: Policy) -> str:
    """sha256 over RFC 8785 JSON of all that decides: see `Policy`. A default is the same written or not."""
    if policy.ask_body == ASK_BODY:  # msgspec leaves out a default that is the same object, not an equal one
        policy = msgspec.structs.replace(policy, ask_body=ASK_BODY)
    if policy.ask_wait == ASK_WAIT:
        policy = msgspec.structs.replace(policy, ask_wait=ASK_WAIT)
    bare = [msgspec.structs.replace(route, origin="", replaced=()) for route in policy.routes]
    deciding = msgspec.structs.replace(policy, routes=tuple(bare), digest="", notes=(), revision=1, default_origin="")
    content = msgspec.to_builtins(deciding)
    if policy.learn_until:
        content["learn_until"] = str(policy.learn_until)  # nanoseconds are beyond what RFC 8785 has as a number
    return hashlib.sha256(rfc8785.dumps(content)).hexdigest()


def _visit(name: str, load: Load, chain: tuple[str, ...], files: dict[str, BottleFile]) -> None:
    if name in chain:
        what = f"bottles extend each other in a circle: {' -> '.join((*chain, name))}"
        raise ManifestFault([Problem("manifest.cycle", what, load(name).file)])
    if name in files:
        return
    file = load(name)
    for parent in model.names(file.bottle.extends):
        try:
            _visit(parent, load, (*chain, name), files)
        except UsageFault as fault:
            raise ManifestFault([Problem(fault.slug, f"extends: {fault.what}", file.file, 0, fault.hint)]) from None
    files[name] = file


def _short(route: Route) -> str:
    return route.rule.partition("/")[2]


def _marked(route: Route, replaced: dict[str, list[str]]) -> Route:
    rules = replaced.get(route.host)
    return msgspec.structs.replace(route, replaced=tuple(rules)) if rules else route


def _note(host: str, rules: list[str], merged: Merged) -> str:
    ours = ", ".join(route.rule for route in merged.routes if route.host == host)
    return f"{host}: {ours} replaces {', '.join(rules)}"


def _workspace(a: model.Workspace, b: model.Workspace) -> model.Workspace:
    mounts = {mount_target(mount): mount for mount in (*a.mounts, *b.mounts)}
    return model.Workspace(
        mode=b.mode if b.mode is not UNSET else a.mode,
        keep=list(dict.fromkeys([*a.keep, *b.keep])),
        mounts=list(mounts.values()),
        caches=list(dict.fromkeys([*a.caches, *b.caches])),
    )


def mount_target(mount: model.Mount) -> str:
    """Where a mount appears inside."""
    return mount.target if mount.target is not UNSET else mount.source


def _later(a: S, b: S) -> S:
    """Field by field, the later value where it is written."""
    written = {name: value for name in b.__struct_fields__ if (value := getattr(b, name)) is not UNSET}
    return msgspec.structs.replace(a, **written)


__all__ = ["Merged", "combine", "digest", "effective", "merge", "mount_target", "order", "route_name", "single"]
