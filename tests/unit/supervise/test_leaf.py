"""supervise.leaf and leaf_text: one route into a person's file, everything else as it was."""

import os
import stat
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot_bottle.base.errors import BottleError, BusyFault, OperatorFault
from bot_bottle.policy import model
from bot_bottle.policy.check import check_bottle
from bot_bottle.policy.decide import compile, decide
from bot_bottle.policy.effective import Policy, Route
from bot_bottle.policy.merge import digest, effective, merge
from bot_bottle.policy.verdict import Kind, Request, Target
from bot_bottle.supervise import leaf
from bot_bottle.supervise.leaf_text import Unfit, route_yaml, with_route
from bot_bottle.supervise.model import Wanted
from unit.supervise.make import wanted

ROUTE = "{host: hooks.relaybin.dev, matches: [{paths: [{type: exact, value: /in}], methods: [POST]}]}"
BLOCK = """\
- host: hooks.relaybin.dev
  matches: [{paths: [{type: exact, value: /in}], methods: [POST]}]
"""


def indented(text: str, column: int) -> str:
    return "".join(f"{' ' * column}{line}\n" for line in text.splitlines())


FILES = {
    "no front matter": ("Notes alone.\n", f"---\negress:\n  routes:\n{indented(BLOCK, 4)}---\n\nNotes alone.\n"),
    "nothing": ("", f"---\negress:\n  routes:\n{indented(BLOCK, 4)}---\n"),
    "empty front matter": ("---\n---\nNotes\n", f"---\negress:\n  routes:\n{indented(BLOCK, 4)}---\nNotes\n"),
    "comments alone": ("---\n# c\n---\n", f"---\n# c\negress:\n  routes:\n{indented(BLOCK, 4)}---\n"),
    "no egress": (
        "---\nversion: 1  # one\n---\n", f"---\nversion: 1  # one\negress:\n  routes:\n{indented(BLOCK, 4)}---\n"
    ),
    "empty egress": ("---\negress:  # soon\n---\n", f"---\negress:  # soon\n  routes:\n{indented(BLOCK, 4)}---\n"),
    "no routes": (
        "---\negress:\n    default: ask  # a\n    # b\nversion: 1\n---\n",
        f"---\negress:\n    default: ask  # a\n    # b\n    routes:\n{indented(BLOCK, 6)}version: 1\n---\n",
    ),
    "empty routes": (
        "---\negress:\n  routes:\nversion: 1\n---\n", f"---\negress:\n  routes:\n{indented(BLOCK, 4)}version: 1\n---\n"
    ),
    "block routes": (
        "---\negress:\n  routes:\n    # first\n    - host: a.example  # why\n      # of a\n\n    # after\nversion: 1\n---\nN\n",
        "---\negress:\n  routes:\n    # first\n    - host: a.example  # why\n      # of a\n"
        f"{indented(BLOCK, 4)}\n    # after\nversion: 1\n---\nN\n",
    ),
    "routes without indent": (
        "---\negress:\n  routes:\n  - {host: a.example}\n---\n",
        f"---\negress:\n  routes:\n  - {{host: a.example}}\n{indented(BLOCK, 2)}---\n",
    ),
    "folded value at the end": (
        "---\negress:\n  routes:\n    - host: a.example\n      matches: [{paths: [{type: exact,\n        value: /x}]}]\n---\n",
        "---\negress:\n  routes:\n    - host: a.example\n      matches: [{paths: [{type: exact,\n        value: /x}]}]\n"
        f"{indented(BLOCK, 4)}---\n",
    ),
    "empty flow routes": ("---\negress: {routes: []}\n---\n", f"---\negress: {{routes: [{ROUTE}]}}\n---\n"),
    "flow routes": (
        "---\negress:\n  routes: [{host: a.example}]  # c\n---\n",
        f"---\negress:\n  routes: [{{host: a.example}}, {ROUTE}]  # c\n---\n",
    ),
    "flow routes on lines": (
        "---\negress:\n  routes: [\n    {host: a.example}, # c\n  ]\n---\n",
        f"---\negress:\n  routes: [\n    {{host: a.example}}, {ROUTE}, # c\n  ]\n---\n",
    ),
    "flow egress": (
        "---\negress: {default: ask}\n---\n", f"---\negress: {{default: ask, routes: [{ROUTE}]}}\n---\n"
    ),
    "empty flow egress": ("---\negress: {}\n---\n", f"---\negress: {{routes: [{ROUTE}]}}\n---\n"),
    "all flow": (
        "---\n{version: 1, egress: {default: ask}}\n---\n",
        f"---\n{{version: 1, egress: {{default: ask, routes: [{ROUTE}]}}}}\n---\n",
    ),
    "quoted keys": (
        '---\n"egress":\n  "routes":\n    - "host": "a.example"\n---\n',
        f'---\n"egress":\n  "routes":\n    - "host": "a.example"\n{indented(BLOCK, 4)}---\n',
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_the_route_comes_last_and_nothing_else_moves(name: str) -> None:
    before, after = FILES[name]
    assert with_route(before, leaf.route_of(wanted())) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("egress: {routes: []}", f"egress: {{routes: [{ROUTE}  # why\n  ]}}"),
        ("egress: {}", f"egress: {{routes: [{ROUTE}]  # why\n  }}"),
        ("egress:\n  routes: [{host: a.example}] # own", f"egress:\n  routes: [{{host: a.example}}, {ROUTE}  # why\n    ] # own"),
        ("egress:\n  routes: [\n    {host: a.example},\n  ]", f"egress:\n  routes: [\n    {{host: a.example}}, {ROUTE},  # why\n  ]"),
        ("{egress: {routes: [{host: a.example}]}, version: 1}", f"{{egress: {{routes: [{{host: a.example}}, {ROUTE}  # why\n  ]}}, version: 1}}"),
    ],
)  # fmt: skip
def test_who_said_so_stands_beside_the_rule_in_flow_style_too(before: str, after: str) -> None:
    made = with_route(f"---\n{before}\n---\n", leaf.route_of(wanted()), "why")
    assert made == f"---\n{after}\n---\n"
    assert check_bottle(made.encode(), "b", "b.md").bottle.egress.routes[-1].host == wanted().target.host


@pytest.mark.parametrize("name", FILES)
def test_line_ends_and_mark_stay(name: str) -> None:
    before, after = FILES[name]
    text = "\ufeff" + before.replace("\n", "\r\n")
    if before.count("\n"):
        assert with_route(text, leaf.route_of(wanted())) == "\ufeff" + after.replace("\n", "\r\n")


def test_a_file_of_two_minds_is_left_alone() -> None:
    with pytest.raises(Unfit):
        with_route("---\r\nversion: 1\n---\n", leaf.route_of(wanted()))


@pytest.mark.parametrize(
    ("want", "text"),
    [
        (wanted("x.example", scheme="http", port=80), "{host: x.example, scheme: http, matches: "),
        (wanted("x.example", scheme="http", port=8080), "{host: x.example, scheme: http, ports: [8080], matches: "),
        (wanted("2606:4700::1111", port=8443), '{host: "2606:4700::1111", ports: [8443], matches: '),
        (wanted("1.1.1.1"), '{host: "1.1.1.1", matches: '),
        (wanted(protocol="websocket", method="GET"), "protocols: [websocket], matches: "),
        (wanted(path="/a b".replace(" ", "%20")), '{type: exact, value: "/a%20b"}'),
        (wanted(method="", methods=("GET", "HEAD"), path="/v1"), "{paths: [{type: prefix, value: /v1}], methods: [GET, HEAD]}"),
        (wanted(path="/null", method="NO"), "value: /null}], methods: [NO]"),
    ],
)  # fmt: skip
def test_the_rule_is_the_narrowest(want: Wanted, text: str) -> None:
    written = route_yaml(leaf.route_of(want))
    assert text in written
    after = with_route("---\nversion: 1\n---\n", leaf.route_of(want))
    file = check_bottle(after.encode(), "b", "b.md")
    assert file.bottle.egress.routes == [leaf.route_of(want)]
    known = compile(effective(merge([file]), "b"))
    for method in want.methods or (want.method,):
        asked = Request(want.target, method, want.path, protocol=want.protocol)
        assert decide(known, asked).kind is Kind.ALLOW
        for other in (
            Request(Target("https", "other.example", 443), method, want.path),
            Request(want.target, "DELETE", want.path, protocol=want.protocol),
            Request(want.target, method, "/other", protocol=want.protocol),
        ):
            assert decide(known, other).kind is Kind.DENY


# ---- proposing and writing

OWN = "---\negress:\n  default: ask\n  routes:\n    - {name: own, host: own.example}  # mine\n---\nNotes.\n"
GIVEN = Route("claude/messages", "api.anthropic.com", origin="harness claude")


def policy_of(text: str, *given: Route, name: str = "web") -> Policy:
    return effective(merge([check_bottle(text.encode(), name, f"{name}.md")]), name, given)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "web.md"
    path.write_text(OWN)
    path.chmod(0o640)
    return path


def test_what_is_shown_is_what_is_written(file: Path) -> None:
    policy = policy_of(OWN, GIVEN)
    found = leaf.propose(str(file), policy, wanted(), "allowed by ana, ask a1")
    assert file.read_text() == OWN
    added = [line for line in found.diff.splitlines() if line.startswith("+") and not line.startswith("+++")]
    assert [line for line in found.diff.splitlines() if line.startswith("-") and not line.startswith("---")] == []
    assert added == [f"+{line}" for line in ("    # allowed by ana, ask a1\n" + indented(BLOCK, 4)).splitlines()]
    leaf.write(found)
    assert file.read_bytes() == found.after and stat.S_IMODE(file.stat().st_mode) == 0o640
    assert os.listdir(file.parent) == ["web.md"]


def test_the_policy_is_the_one_that_a_reload_will_make(file: Path) -> None:
    policy = msgspec.json.decode(msgspec.json.encode(policy_of(OWN, GIVEN)), type=Policy)  # as a keeper has it
    found = leaf.propose(str(file), policy, wanted())
    leaf.write(found)
    again = policy_of(file.read_text(), GIVEN)
    assert found.policy.digest == again.digest == digest(found.policy) != policy.digest
    assert [one.rule for one in found.policy.routes] == [one.rule for one in again.routes]
    assert found.policy.revision == policy.revision + 1 and found.policy.routes[-1] == GIVEN
    assert decide(compile(found.policy), Request(wanted().target, "POST", "/in")).kind is Kind.ALLOW


def test_a_file_that_changed_since_is_not_written(file: Path) -> None:
    found = leaf.propose(str(file), policy_of(OWN), wanted())
    file.write_text(OWN + "More.\n")
    with pytest.raises(BusyFault):
        leaf.write(found)
    file.unlink()
    with pytest.raises(BusyFault):
        leaf.write(found)
    assert os.listdir(file.parent) == []


def test_a_first_file_is_made(tmp_path: Path) -> None:
    path = tmp_path / "bottles" / "default.md"
    found = leaf.propose(str(path), policy_of("", name="default"), wanted())
    assert len(found.before) == 64  # the digest of nothing: what a person saw has one, too
    leaf.write(found)
    assert check_bottle(path.read_bytes(), "default", "d").bottle.egress.routes == [leaf.route_of(wanted())]
    with pytest.raises(BusyFault):
        leaf.write(found)


def test_a_link_is_followed_to_the_file_behind_it(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "linked" / "web.md"
    link.parent.mkdir()
    link.symlink_to(file)
    leaf.write(leaf.propose(str(link), policy_of(OWN), wanted()))
    assert link.is_symlink() and "hooks.relaybin.dev" in file.read_text()


def refused(path: Path, policy: Policy, want: Wanted) -> str:
    before = path.read_bytes()
    with pytest.raises(BottleError) as fault:
        leaf.propose(str(path), policy, want)
    assert path.read_bytes() == before
    return fault.value.slug


def test_what_would_change_more_than_one_route_is_refused(file: Path) -> None:
    policy = policy_of(OWN, GIVEN)
    assert refused(file, policy, wanted("api.anthropic.com")) == "leaf.replaces"
    deny = "---\negress:\n  routes:\n    - {name: no, host: hooks.relaybin.dev, action: deny}\n---\n"
    file.write_text(deny)
    assert refused(file, policy_of(deny), wanted()) == "leaf.no-effect"
    asks = deny.replace("deny", "ask")
    file.write_text(asks)
    assert refused(file, policy_of(asks), wanted()) == "leaf.no-effect"


def test_a_writer_that_writes_more_is_found_out(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The text is made by one hand and read by another: what differs by more than the route is never proposed."""
    for more in (OWN.replace("own.example", "other.example"), OWN.replace("default: ask", "default: deny")):
        twisted = with_route(more, leaf.route_of(wanted()))
        monkeypatch.setattr(leaf, "with_route", lambda _text, _route, _comment, made=twisted: made)
        assert refused(file, policy_of(OWN), wanted()) == "leaf.unfit"


def test_the_same_rule_twice_is_refused(file: Path) -> None:
    leaf.write(leaf.propose(str(file), policy_of(OWN), wanted()))
    assert refused(file, policy_of(file.read_text()), wanted()) == "leaf.unfit"
    other = tmp = file.parent / "other.md"
    tmp.write_text(OWN)
    assert refused(other, policy_of(file.read_text()), wanted()) == "leaf.exists"


def test_a_broken_or_unsafe_file_is_refused(file: Path) -> None:
    file.write_text("---\negress: [\n---\n")
    assert refused(file, policy_of(OWN), wanted()) == "manifest.invalid"
    file.write_text(OWN)
    file.chmod(0o666)
    assert refused(file, policy_of(OWN), wanted()) == "leaf.unsafe"
    file.chmod(0o600)
    assert refused(file, policy_of(OWN), wanted(path="/" + "x" * 5000)) == "leaf.unfit"
    folder = file.parent / "folder.md"
    folder.mkdir()
    with pytest.raises(OperatorFault):
        leaf.propose(str(folder), policy_of(OWN), wanted())


# ---- any file

KEYS = st.sampled_from(["env", "limits", "workspace", "version"])
VALUES = {"env": "{A: b}", "limits": "\n  pids: 100", "workspace": "\n  keep: ['*.x']  # k", "version": "1"}
COMMENT = st.sampled_from(["", "# c\n", "\n", "    # deep\n", "  # two\n\n"])
ROUTES = st.sampled_from([
    None, " []", " [{host: a.example}]", "\n  - host: a.example", "\n    - host: a.example\n      ports: [1]",
    "\n      - {host: a.example}\n      - host: b.example  # x", " [ # c\n    {host: a.example},\n  ]",
    '\n    - host: "a.example"\n      matches:\n        - methods:\n            - GET',
    "\n    - host: a.example\n      matches:\n      - paths:\n        - type: exact\n          value: >-\n            /a\n",
])  # fmt: skip


@st.composite
def files(draw: st.DrawFn) -> str:
    parts = [
        f"{key}: {VALUES[key]}\n".replace(": \n", ":\n") for key in draw(st.lists(KEYS, unique=True, max_size=3))
    ]
    routes = draw(ROUTES)
    egress = "egress:\n" + draw(st.sampled_from(["  default: ask\n", "  log: off  # l\n"]))
    if routes is not None:
        egress += f"  routes:{routes}\n"
    parts.insert(draw(st.integers(0, len(parts))), egress)
    head = "".join(part + draw(COMMENT) for part in parts)
    return f"---\n{head}---\n" + draw(st.sampled_from(["", "Notes\n", "# Title\n\ntext"]))


@settings(deadline=None)
@given(files(), st.sampled_from([wanted(), wanted("b.test", path="/x;y=%22'#".replace("#", "%23"), method="PUT")]))
def test_any_file_gains_one_route_and_loses_no_character(text: str, want: Wanted) -> None:
    route = leaf.route_of(want)
    old = check_bottle(text.encode(), "b", "b.md")
    after = with_route(text, route, "why")
    new = check_bottle(after.encode(), "b", "b.md")
    egress = msgspec.structs.replace(old.bottle.egress, routes=[*old.bottle.egress.routes, route])
    assert new.bottle == msgspec.structs.replace(old.bottle, egress=egress) and new.notes == old.notes
    at = next((i for i, pair in enumerate(zip(text, after, strict=False)) if pair[0] != pair[1]), len(text))
    longer = len(after) - len(text)
    places = range(max(0, at - longer), at + 1)  # an insertion, wherever equal characters make its place uncertain
    assert any(after[:p] + after[p + longer :] == text for p in places)
    assert isinstance(route, model.Route)


@pytest.mark.parametrize("text", [OWN, None])
def test_what_was_written_can_be_taken_back_unless_it_changed_since(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "own.md"
    if text is not None:
        file.write_text(text)
    leaf.write(leaf.propose(str(file), policy_of(OWN), wanted()))()
    assert (file.read_text() if file.exists() else None) == text
    undo = leaf.write(leaf.propose(str(file), policy_of(OWN), wanted()))
    file.write_text("mine")
    undo()
    assert file.read_text() == "mine"
