"""Reads one manifest and says everything that is wrong with it at once, with file, line and nearest key.

Files are bytes here; `bottles.manifests` finds and opens them. A manifest with a problem is never used in part.
"""

from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from bot_bottle.base.errors import ManifestFault, Problem
from bot_bottle.policy import model, rules
from bot_bottle.policy.frontmatter import Document, NotAManifest, split
from bot_bottle.policy.walk import Walk, nearest
from bot_bottle.policy.yaml12 import Items, Node, Scalar, Table, YamlFault, parse


class BottleFile(msgspec.Struct, frozen=True):
    """A checked bottle. file: as shown to a person. lines: file line of each route; default: of ``egress.default``, 0
    where it is not written. notes: the Markdown body.

    authorities: PEM text of each ``tls.ca``; the loader reads them.
    """

    name: str
    file: str
    bottle: model.Bottle
    lines: tuple[int, ...] = ()
    notes: str = ""
    authorities: dict[str, str] = {}
    default: int = 0


class AgentFile(msgspec.Struct, frozen=True):
    """A checked agent. prompt: the Markdown body. claude: fields of a Claude subagent that were passed over."""

    name: str
    file: str
    agent: model.Agent
    prompt: str = ""
    claude: tuple[str, ...] = ()


def check_bottle(raw: bytes, name: str, file: str) -> BottleFile:
    """A bottle file. Raises ManifestFault with all problems."""
    document, tree = _read(raw, file)
    walk = Walk(file, document.line - 1)
    plain = walk.value(tree, inspect.type_info(model.Bottle), "")
    routes = _route_nodes(tree)
    _check_env(tree, walk)
    _check_egress(tree, walk)
    _check_routes(routes, walk)
    if walk.problems:
        raise ManifestFault(sorted(walk.problems, key=lambda problem: problem.line))
    lines = tuple(node.line + walk.offset for node in routes)
    default = _default_line(tree, walk)
    return BottleFile(name, file, msgspec.convert(plain, model.Bottle), lines, document.body, default=default)


def check_agent(raw: bytes, name: str, file: str, repository: bool = False) -> AgentFile:
    """An agent file, or a Claude subagent file. Raises ManifestFault with all problems.

    repository: D21 - a file from a repository names no bottle and no git user.
    """
    document, tree = _read(raw, file)
    passed_over = _claude_fields(tree)
    walk = Walk(file, document.line - 1, passed_over)
    plain: Any = walk.value(_without_claude_model(tree), inspect.type_info(model.Agent), "")
    if repository and isinstance(tree, Table):
        for key in ("bottle", "git"):
            if key in tree.entries:
                walk.add("repository-agent", f"an agent of a repository may not set {key}", tree.lines[key])
    if walk.problems:
        raise ManifestFault(sorted(walk.problems, key=lambda problem: problem.line))
    agent = msgspec.convert(plain, model.Agent)
    return AgentFile(name, file, agent, document.body.strip(), tuple(sorted(passed_over)))


def _read(raw: bytes, file: str) -> tuple[Document, Node]:
    """Splits and parses; a file that is no manifest at all has this one problem."""
    try:
        document = split(raw)
    except NotAManifest as fault:
        raise ManifestFault([Problem("manifest.not-a-manifest", fault.reason, file, fault.line)]) from None
    try:
        return document, parse(document.head)
    except YamlFault as fault:
        line = fault.line + document.line - 1
        raise ManifestFault([Problem("manifest.bad-yaml", fault.reason, file, line)]) from None


def _check_env(tree: Node, walk: Walk) -> None:
    env = tree.entries.get("env") if isinstance(tree, Table) else None
    for name, node in env.entries.items() if isinstance(env, Table) else ():
        source = _alone(node, model.EnvSource, walk.file) if isinstance(node, Table) else None
        finding = rules.env_finding(name, source) if source else None
        if finding:
            walk.add(finding[0], finding[1], node.line, finding[2])


def _check_egress(tree: Node, walk: Walk) -> None:
    """How long and how large a held request may be."""
    egress = tree.entries.get("egress") if isinstance(tree, Table) else None
    for key, node in egress.entries.items() if isinstance(egress, Table) else ():
        what = rules.hold_finding(key, node.text) if isinstance(node, Scalar) else ""
        if what:
            walk.add("bad-value", f"egress.{key}: {what}", node.line)


def _check_routes(routes: list[Node], walk: Walk) -> None:
    """The rules inside and between those routes whose fields all fit."""
    fitting: list[tuple[int, model.Route]] = []
    for node in routes:
        route = _alone(node, model.Route, walk.file)
        if route is None:
            continue
        found = list(rules.route_findings(route))
        for slug, what, hint in found:
            walk.add(slug, f"route to {route.host}: {what}", node.line, hint)
        if not found:
            fitting.append((node.line, route))
    rules.pair_findings(
        [route for _, route in fitting],
        lambda index, found: walk.add(found[0], found[1], fitting[index][0], found[2]),
    )


T = TypeVar("T")


def _alone(node: Node, kind: type[T], file: str) -> T | None:
    """One part of the tree as its model, or None where it has problems (which the whole walk reports)."""
    walk = Walk(file, 0)
    plain = walk.value(node, inspect.type_info(kind), "")
    return None if walk.problems else msgspec.convert(plain, kind)


def _claude_fields(tree: Node) -> frozenset[str]:
    """Keys that a Claude subagent has and we do not; one with name and description may have any, but no near miss."""
    if not isinstance(tree, Table):
        return frozenset()
    ours = [field.name for field in msgspec.structs.fields(model.Agent)]
    unknown = [key for key in tree.entries if key not in ours]
    subagent = {"name", "description"} <= tree.entries.keys()
    return frozenset(key for key in unknown if key in model.CLAUDE_FIELDS or (subagent and not nearest(key, ours)))


def _without_claude_model(tree: Node) -> Node:
    """``model: inherit`` of a subagent means: the harness's own."""
    if isinstance(tree, Table) and getattr(tree.entries.get("model"), "text", "") == "inherit":
        return Table(tree.line, {key: node for key, node in tree.entries.items() if key != "model"}, tree.lines)
    return tree


def _default_line(tree: Node, walk: Walk) -> int:
    egress = tree.entries.get("egress") if isinstance(tree, Table) else None
    line = egress.lines.get("default") if isinstance(egress, Table) else None
    return 0 if line is None else line + walk.offset


def _route_nodes(tree: Node) -> list[Node]:
    egress = tree.entries.get("egress") if isinstance(tree, Table) else None
    routes = egress.entries.get("routes") if isinstance(egress, Table) else None
    return routes.items if isinstance(routes, Items) else []
