"""Attacks on what is allowed: names, paths, addresses, manifests. Each has a control that shows the hole when open."""

import ipaddress
import os
import posixpath
from pathlib import Path
from urllib.parse import unquote

import msgspec
import pytest

from bot_bottle.base.errors import ManifestFault, OperatorFault, UsageFault
from bot_bottle.base.home import Home
from bot_bottle.bottles import plan_mounts, skill_files
from bot_bottle.bottles.manifest_files import read_beneath
from bot_bottle.bottles.manifests import Library
from bot_bottle.bottles.registries import Registries, Registry
from bot_bottle.bottles.registry_clients import Asked
from bot_bottle.policy import addresses, arms, hosts, merge, paths
from bot_bottle.policy.addresses import classify
from bot_bottle.policy.asked import from_url
from bot_bottle.policy.check import check_agent, check_bottle
from bot_bottle.policy.decide import compile, could_allow_name, decide
from bot_bottle.policy.effective import Policy, Route
from bot_bottle.policy.hosts import canonical_host
from bot_bottle.policy.paths import canonical_path
from bot_bottle.policy.verdict import Kind
from unit.policy.make import ask, bottle, compiled, policy, request

ANY = "https://anything.example/"


def refused(read: object, text: str) -> bool:
    assert callable(read)
    try:
        read(text)
    except ValueError:
        return True
    return False


# ---- names and addresses


def test_b01_an_empty_allowlist_allows_nothing() -> None:
    for routes in ("", "- {host: a.example, action: deny}", "- {host: a.example, action: ask}"):
        known = compiled(routes)
        for url in (ANY, "http://a.example/", "https://a.example/", "https://127.0.0.1/"):
            assert ask(known, url).kind is not Kind.ALLOW
        assert not could_allow_name(known, "anything.example")
    assert ask(compiled("- {host: anything.example}"), ANY).kind is Kind.ALLOW  # the control: one route opens it


def test_b02_a_nul_byte_cannot_carry_another_host() -> None:
    evil = "evil.example\0.allowed.example"
    assert evil.endswith(".allowed.example")  # what a suffix match sees: the control
    assert evil.split("\0")[0] == "evil.example"  # what a C resolver sees
    for text in (
        evil,
        "evil.example%00.allowed.example",
        "evil.example\n.allowed.example",
        "evil.example .allowed.example",
    ):
        assert refused(canonical_host, text)
        assert refused(lambda one: hosts.split_authority(one, 443), f"{text}:443")


def test_b10_an_address_is_denied_unless_a_route_names_it() -> None:
    known = compiled("- {host: '*.example.com'}\n- {host: api.example.com}")
    for url in ("https://93.184.216.34/", "https://8.8.8.8/"):
        assert ask(known, url).kind is Kind.DENY
    assert decide(known, from_url("https://[2606:4700::1111]/").request).kind is Kind.DENY
    assert ask(compiled("- {host: 93.184.216.34}"), "https://93.184.216.34/").kind is Kind.ALLOW  # control


EMBEDDED = (
    "::ffff:127.0.0.1", "::ffff:a9fe:a9fe", "::ffff:0:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::a00:1",
    "2002:7f00:1::", "2002:a9fe:a9fe::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2606:4700::5efe:7f00:1",
)  # fmt: skip


@pytest.mark.parametrize("ip", EMBEDDED)
def test_b13_ipv4_inside_ipv6_is_never_dialled(ip: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not classify(ip).dialable and not classify(ip).pinnable
    assert refused(canonical_host, f"[{ip}]") or not classify(canonical_host(f"[{ip}]")).dialable
    # The control: with only the range 2000::/3 to go by, 6to4, Teredo and ISATAP would pass.
    monkeypatch.setattr(addresses, "_RANGES6", ())
    monkeypatch.setattr(addresses, "_global6", lambda _address: addresses.AddressClass.PUBLIC)
    assert classify(ip).dialable


@pytest.mark.parametrize("text", ["fe80::1%eth0", "[fe80::1%25eth0]", "::1%lo", "[::1%1]"])
def test_b13_a_zone_id_is_refused(text: str) -> None:
    assert refused(canonical_host, text)
    assert not classify(text.strip("[]")).dialable


@pytest.mark.parametrize(
    "text",
    ["0x7f.0.0.1", "0x7f000001", "2130706433", "017700000001", "0177.0.0.1", "127.1", "127.0.1", "127.0.0.01", "0", "00.0.0.0",
     "1.2.3", "1.2.3.4.5", "256.1.1.1", "0x", "0x7f.1.", "127.0.0.0x1", "4294967296", "foo.0x7f", "foo.1", "１２７.0.0.1"],
)  # fmt: skip
def test_b14_an_ipv4_address_has_one_notation(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused(canonical_host, text)
    assert not classify(text).dialable
    if text.isascii() and not text.endswith("."):
        # The control: without the rule for numeric last labels most of these would be host names like any other.
        monkeypatch.setattr(hosts, "_NUMBER", hosts.re.compile(r"\Z.\A"))
        assert not refused(canonical_host, text)


@pytest.mark.parametrize("text", ["Evil.EXAMPLE.com", "evil.example.com.", "EVIL.example.COM."])
def test_b15_case_and_a_trailing_dot_do_not_slip_past_a_deny(text: str) -> None:
    known = compiled("- {host: '*.example.com'}\n- {host: evil.example.com, action: deny}")
    assert decide(known, from_url(f"https://{text}/").request).kind is Kind.DENY
    assert (
        ask(known, f"https://{text}/").reason != "policy.denied-by-rule"
    )  # control: the raw text is not what is denied


def test_b15_one_name_in_idn_has_one_spelling() -> None:
    assert (
        canonical_host("bücher.example")
        == canonical_host("BÜCHER.example.")
        == canonical_host("xn--bcher-kva.example")
    )
    for text in (
        "example。com",
        "ｅｘａｍｐｌｅ.com",
        "exam\u00adple.com",
        "exa\u200dmple.com",
        "straße.example",
        "ℯxample.com",
    ):
        assert refused(canonical_host, text)
        assert (
            not text.isascii() and text.encode("idna").isascii()
        )  # control: the codec alone maps it to another name


FORGOTTEN = ("100.64.0.1", "100.127.255.254", "0.0.0.0", "0.1.2.3", "224.0.0.251", "239.255.255.250", "198.18.0.1", "198.19.255.255",
             "192.0.0.1", "192.0.2.1", "203.0.113.9", "240.0.0.1", "255.255.255.255", "169.254.1.1", "fe80::1", "fc00::1", "ff02::fb",
             "fec0::1", "::", "::1", "100::1", "2001:db8::1", "3fff::1", "5f00::1")  # fmt: skip


@pytest.mark.parametrize("ip", FORGOTTEN)
def test_b16_ranges_that_others_forgot_are_not_dialable(ip: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not classify(ip).dialable
    monkeypatch.setattr(
        addresses, "_RANGES4", ()
    )  # the control: without the tables they are addresses like any other
    monkeypatch.setattr(addresses, "_RANGES6", ())
    monkeypatch.setattr(addresses, "_GLOBAL6", ipaddress.IPv6Network("::/0"))
    assert classify(ip).dialable


@pytest.mark.parametrize(
    "ip",
    ["169.254.169.254", "169.254.170.2", "169.254.170.23", "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254"],
)  # fmt: skip
def test_b18_metadata_addresses_are_neither_dialled_nor_pinned(ip: str) -> None:
    """The gateway classifies after resolution (tests/attacks/test_gateway_*); no route can pin one either."""
    assert classify(ip).value == "metadata"
    shown = f"[{ip}]" if ":" in ip else ip
    with pytest.raises(ManifestFault, match="metadata"):
        bottle(f"egress: {{routes: [{{host: a.example, address: '{shown}:80'}}]}}")
    assert bottle("egress: {routes: [{host: a.example, address: '10.0.0.1:80'}]}").bottle.egress.routes  # control


def test_b19_a_redirect_target_is_a_new_question() -> None:
    """A verdict is for one host, port and path: what a redirect names is decided again, from nothing."""
    known = compiled("- {host: a.example, matches: [{paths: [{type: prefix, value: /ok}]}]}")
    assert ask(known, "https://a.example/ok").kind is Kind.ALLOW
    for target in (
        "https://b.example/ok",
        "http://a.example/ok",
        "https://a.example:8443/ok",
        "https://a.example/other",
        "http://169.254.169.254/ok",
    ):
        assert ask(known, target).kind is Kind.DENY


def test_b20_a_wildcard_is_one_label_and_never_a_whole_domain_or_an_address() -> None:
    known = compiled("- {host: '*.example.com'}")
    assert ask(known, "https://a.example.com/").kind is Kind.ALLOW
    for name in ("a.b.example.com", "example.com", "aexample.com", "a.example.com.evil.example"):
        assert ask(known, f"https://{name}/").kind is Kind.DENY
    for pattern in ("*", "*.com", "*.*.com", "*.10.0.0.1", "a.*.com"):
        with pytest.raises(ManifestFault):
            bottle(f"egress: {{routes: [{{host: '{pattern}'}}]}}")
    # Its owner may point any label at your LAN: that is met at the dial, where a private address is refused.
    assert not classify("192.168.1.1").dialable


# ---- requests


def test_b30_every_form_of_a_target_is_decided_by_method_and_path() -> None:
    known = compiled("- {host: a.example, matches: [{paths: [{type: prefix, value: /v1/}], methods: [GET]}]}")
    for url, method, kind in (
        ("https://a.example/v1/x", "GET", Kind.ALLOW),
        ("https://a.example/v1/x", "POST", Kind.DENY),
        ("https://a.example/v2/x", "GET", Kind.DENY),
        ("https://a.example", "GET", Kind.DENY),
        ("https://A.example.:443/v1/../v2", "GET", Kind.DENY),
    ):
        assert decide(known, from_url(url, method).request).kind is kind


SLIPS = ("/v1/../admin", "/v1/%2e%2e/admin", "/v1/%2E%2e/admin", "/v1/..%2fadmin", "/v1/%2e%2e%2fadmin", "/v1/..%5cadmin", "/v1/..\\admin",
         "/v1//../admin", "/v1/./../admin", "/v1/%252e%252e/admin", "/v1/..;/admin", "/v1/..%3b/admin", "/v1/%c0%ae%c0%ae/admin",
         "/v1/x/..%2f..%2fadmin", "/v1%2f..%2fadmin", "/v1/%2e./admin")  # fmt: skip


@pytest.mark.parametrize("raw", SLIPS)
def test_b32_dots_and_slashes_in_any_spelling_do_not_beat_a_path_rule(raw: str) -> None:
    known = compiled("- {host: a.example, matches: [{paths: [{type: prefix, value: /v1/}]}]}")
    assert raw.startswith("/v1")  # control: what a rule on the raw text would see
    lenient = posixpath.normpath(unquote(unquote(raw.replace(";", ""))).replace("\\", "/"))
    assert "v1" not in lenient or "%c0" in raw or "%3b" in raw or ";" in raw or "x" in raw
    try:
        path = canonical_path(raw)
    except ValueError:
        return
    assert ask(known, f"https://a.example{path}").kind is Kind.DENY


@pytest.mark.parametrize("raw", ["/admin", "/%61dmin", "//admin", "/./admin", "/x/../admin", "/%2e/admin", "/admin/", "/admin;x=1", "/admin%2Fusers",
                                 "/admin;x/users", "/%61%64min//users", "/ADMIN", "/Admin/x",
                                 "/admin.", "/admin%20", "/admin%20.", "/admin./users", "/Admin%20/users", "/admin%23", "/admin%23x", "/admin%3Fx",
                                 "/admin;x=1.", "/admin.%3B", "/admin%20%23"])  # fmt: skip
def test_b32_a_deny_rule_is_met_by_every_spelling_of_its_path(raw: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known = compiled(
        "- {host: a.example}\n- {host: a.example, action: deny, matches: [{paths: [{type: prefix, value: /admin}]}]}"
    )
    path = canonical_path(raw)
    assert ask(known, f"https://a.example{path}").reason == "policy.denied-by-rule"
    if path != "/admin" and not path.startswith("/admin/"):  # control: without the lenient readings it would pass
        monkeypatch.setattr("bot_bottle.policy.decide.loose_views", lambda _path: ())
        assert ask(known, f"https://a.example{path}").kind is Kind.ALLOW


def test_d24_the_path_that_matched_is_the_path_that_is_sent() -> None:
    for raw in ("/a/%62", "//a///b", "/a/x/../b", "/a/./b"):
        sent = canonical_path(raw)
        assert sent == "/a/b" == canonical_path(sent) == from_url(f"https://a.example{raw}").request.path
    for raw in ("/a%2562", "/%25%36%31", "/a%252fb", "/%2525"):
        assert refused(canonical_path, raw)
        assert unquote(unquote(raw)) != unquote(raw)  # control: a second reader would go on decoding


def test_d24_equal_routes_with_different_power_never_depend_on_their_order() -> None:
    pair = [
        "- {name: one, host: a.example, matches: [{paths: [{type: regex, value: '/v.*'}]}], auth: {scheme: bearer, secret: s1}}",
        "- {name: two, host: a.example, matches: [{paths: [{type: regex, value: '.*1'}]}], auth: {scheme: bearer, secret: s2}}",
    ]
    for order in (pair, pair[::-1]):
        verdict = ask(compiled("\n".join(order)), "https://a.example/v1")
        assert (verdict.kind, verdict.reason) == (Kind.DENY, "policy.ambiguous-routes")
    alone = ask(compiled(pair[0]), "https://a.example/v1")
    assert alone.kind is Kind.ALLOW  # control


def test_b33_a_websocket_needs_a_route_that_names_it() -> None:
    known = compiled("- {host: a.example}")
    assert ask(known, "https://a.example/").kind is Kind.ALLOW
    assert ask(known, "https://a.example/", protocol="websocket").kind is Kind.DENY


def test_b45_an_unmatched_host_reaches_nothing_and_gets_no_secret() -> None:
    known = compiled("- {host: a.example, auth: {scheme: bearer, secret: s}}")
    assert ask(known, "https://a.example/").route == 0
    for url in (
        "https://b.example/",
        "https://sub.a.example/",
        "https://a.example.evil.example/",
        "http://a.example/",
        "https://a.example:444/",
    ):
        verdict = ask(known, url)
        assert (verdict.kind, verdict.route) == (Kind.DENY, -1)


def test_b46_no_manifest_gives_a_secret_to_a_cleartext_route() -> None:
    with pytest.raises(ManifestFault, match="never leaves over http"):
        bottle("egress: {routes: [{host: a.example, scheme: http, auth: {scheme: bearer, secret: s}}]}")
    assert bottle("egress: {routes: [{host: a.example, auth: {scheme: bearer, secret: s}}]}").bottle  # control


def test_b50_a_registry_route_reads_and_never_publishes() -> None:
    given = Registries((Registry("npm", "https", "npm.example", 443, "npm config registry"),)).routes()
    known = compiled("", *given)
    assert ask(known, "https://npm.example/@s%2Fpkg").kind is Kind.ALLOW
    for method in ("PUT", "POST", "DELETE", "PATCH"):
        assert ask(known, "https://npm.example/pkg", method).kind is Kind.DENY
    opened = compiled("", *(msgspec.structs.replace(route, matches=()) for route in given))
    assert ask(opened, "https://npm.example/pkg", "PUT").kind is Kind.ALLOW  # control


# ---- plans


def test_b61_a_mount_cannot_cover_the_authority_the_probe_or_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home("/home/me/.bot-bottle", "/run/user/1/bot-bottle")
    for target in ("/etc/ssl/certs", "/etc/resolv.conf", "/proc", "/usr/bin/sh", "/run/x", "/dev/null"):
        file = bottle(f"workspace: {{mounts: [{{source: /srv/x, target: {target}}}]}}")
        with pytest.raises(OperatorFault, match="part of the seal"):
            plan_mounts.mounts(file.bottle.workspace.mounts, "/home/me", home)
    monkeypatch.setattr(plan_mounts, "SEALED", ())  # control
    file = bottle("workspace: {mounts: [{source: /srv/x, target: /etc/ssl/certs}]}")
    assert plan_mounts.mounts(file.bottle.workspace.mounts, "/home/me", home)[0][0].target == "/etc/ssl/certs"


def test_b62_the_policy_is_one_document_with_a_digest_that_every_change_shows() -> None:
    base = policy("- {name: r, host: a.example}")
    travelled = msgspec.msgpack.decode(msgspec.msgpack.encode(base), type=Policy)
    assert merge.digest(travelled) == base.digest
    dropped = msgspec.structs.replace(travelled, routes=())
    widened = msgspec.structs.replace(travelled, routes=(*travelled.routes, Route("b/x", "b.example")))
    for field, value in (
        ("action", "deny"),
        ("ports", (443, 80)),
        ("address", "10.0.0.1:1"),
        ("ca", "PEM"),
        ("agent_credentials", True),
    ):
        changed = msgspec.structs.replace(base.routes[0], **{field: value})
        assert merge.digest(msgspec.structs.replace(base, routes=(changed,))) != base.digest
    assert len({merge.digest(one) for one in (base, dropped, widened)}) == 3


def test_b72_what_an_agent_says_of_itself_decides_nothing() -> None:
    known = compiled("- {host: a.example, matches: [{methods: [GET]}]}")
    claims = (
        ("user-agent", "bot-bottle-admin"),
        ("x-agent-name", "trusted"),
        ("x-forwarded-host", "a.example"),
        ("x-http-method-override", "GET"),
    )
    assert ask(known, "https://a.example/", "GET").kind is Kind.ALLOW
    assert ask(known, "https://a.example/", "GET", *claims) == ask(known, "https://a.example/", "GET")
    assert ask(known, "https://a.example/", "POST", *claims) == ask(known, "https://a.example/", "POST")
    assert ask(known, "https://b.example/", "GET", *claims).kind is Kind.DENY
    assert not {"agent", "label", "harness"} & set(type(request("https://a.example/")).__struct_fields__)


def test_b73_texts_about_a_denial_hold_no_hidden_characters() -> None:
    """Only canonical text reaches a hint; what a manifest's author typed is made visible in its problems."""
    known = compiled("- {host: a.example}")
    for text in (
        "https://a.example\u202e/",
        "https://\x1b[31m.example/",
        "https://a.example/\u202e",
        "https://a.example/\x1b[2J",
    ):
        with pytest.raises(ValueError, match=r"^a (host|path|URL)"):
            from_url(text)
    hint = ask(known, "https://b.example/%E2%80%AE").hint
    assert hint.isprintable() and hint.isascii()
    with pytest.raises(ManifestFault) as caught:
        check_bottle(b'---\n"\\u202egress": 1\nlimits: {memory: "\\e[31m"}\n---\n', "x", "x.md")
    assert "\u202e" not in str(caught.value) and "\x1b" not in str(caught.value)
    assert "u{202e}gress" in str(caught.value)  # control: it was there


# ---- manifests


@pytest.fixture
def library(tmp_path: Path) -> Library:
    for folder in ("home/bottles", "home/agents", "person", "repo/.bot-bottle/agents", "repo/.bot-bottle/bottles"):
        (tmp_path / folder).mkdir(parents=True)
    return Library(
        Home(str(tmp_path / "home"), ""), str(tmp_path / "person"), str(tmp_path / "repo"), ("claude", "command")
    )


def repository_agent(library: Library, front: str, name: str = "helper") -> None:
    Path(library.repository, f".bot-bottle/agents/{name}.md").write_text(f"---\n{front}\n---\nDo it.\n")


@pytest.mark.parametrize(
    "front",
    ["bottle: [rich]", "git: {name: a, email: b}", "env: {A: b}", "argv: [--x]", "workspace: {mode: bind}", "egress: {}", "harness: ../x",
     "harness: mine", "model: --dangerously", "skills: [../../.ssh]", "extends: [rich]", "command: sh"],
)  # fmt: skip
def test_d21_an_agent_of_a_repository_gets_no_power(library: Library, front: str) -> None:
    repository_agent(library, "model: m-1")
    assert library.agent("helper").bottles == ()  # control: without the line it loads
    repository_agent(library, front)
    with pytest.raises(ManifestFault):
        library.agent("helper")


def test_d21_a_repository_brings_no_bottles(library: Library) -> None:
    text = "---\negress: {routes: [{host: evil.example}]}\n---\n"
    Path(library.repository, ".bot-bottle/bottles/rich.md").write_text(text)
    assert "rich" not in library.bottle_names()
    with pytest.raises(UsageFault):
        library.resolve(["rich"])
    Path(library.home.bottles, "rich.md").write_text(text)
    assert library.resolve(["rich"]).routes  # control: from the home it would be power


@pytest.mark.parametrize("folder", ["bottles", "agents"])
def test_d21_a_link_from_the_home_into_the_workspace_gives_no_power(library: Library, folder: str) -> None:
    planted = Path(library.repository, "planted.md")
    planted.write_text("---\nversion: 1\n---\n")
    link = Path(library.home.root, folder, "work.md")
    link.symlink_to(planted)
    load = library.bottle if folder == "bottles" else library.agent
    with pytest.raises(ManifestFault, match="lies in the workspace"):
        load("work")
    link.unlink()
    link.write_text(planted.read_text())
    assert load("work").name == "work"  # control: the same file in the home is believed


@pytest.mark.parametrize("name", ["claude", "mine"])
def test_d21_a_repository_takes_no_name_that_exists(library: Library, name: str) -> None:
    Path(library.home.agents, "mine.md").write_text("Mine.")
    assert library.agent(name).source in ("harness", "home")
    repository_agent(library, "model: m-1", name)
    with pytest.raises(ManifestFault, match="that is the name of"):
        library.agent(name)


def test_d21_no_link_leads_out_of_the_repository(library: Library, tmp_path: Path) -> None:
    secret = tmp_path / "person/secret.md"
    secret.write_text("a secret of the host")
    agents = Path(library.repository, ".bot-bottle/agents")
    (agents / "helper.md").symlink_to(secret)
    assert (agents / "helper.md").read_text() == "a secret of the host"  # control: a plain open follows it
    with pytest.raises(ManifestFault, match="link"):
        library.agent("helper")
    (agents / "helper.md").unlink()
    agents.rmdir()
    agents.symlink_to(tmp_path / "person")
    with pytest.raises(ManifestFault, match="link"):
        read_beneath(library.repository, (".bot-bottle", "agents", "secret.md"))


@pytest.mark.parametrize("trap", ["file", "folder", "inner", "fifo"])
def test_d21_a_skill_holds_regular_files_of_the_repository_only(library: Library, tmp_path: Path, trap: str) -> None:
    (tmp_path / "person/.ssh").mkdir()
    (tmp_path / "person/.ssh/id").write_text("key")
    skill = Path(library.repository, ".bot-bottle/skills/helper")
    if trap == "folder":
        skill.parent.mkdir()
        skill.symlink_to(tmp_path / "person/.ssh")
    else:
        skill.mkdir(parents=True)
        (skill / "SKILL.md").write_text("how")
        if trap == "fifo":
            os.mkfifo(skill / "x")
        else:
            (skill / "x").symlink_to(tmp_path / "person/.ssh" / ("id" if trap == "file" else ""))
    repository_agent(library, "skills: [helper]")
    with pytest.raises(ManifestFault, match="link"):
        library.agent("helper")
    if trap != "folder":
        os.unlink(skill / "x")
        assert library.agent("helper").skills  # control: without the trap it loads


def test_d21_a_repository_agent_gets_no_skill_of_the_person(library: Library) -> None:
    Path(library.user_home, ".claude/skills/private").mkdir(parents=True)
    repository_agent(library, "skills: [private]")
    with pytest.raises(ManifestFault, match="no skill"):
        library.agent("helper")
    Path(library.home.agents, "mine.md").write_text("---\nskills: [private]\n---\n")
    assert library.agent("mine").skills  # control: the person's own agent gets it


def test_d21_files_are_small_and_flat(monkeypatch: pytest.MonkeyPatch) -> None:
    deep = "a: " + "[" * 33 + "]" * 33
    for raw in (b"---\n---\n" + b"x" * 262_144, f"---\n{deep}\n---\n".encode()):
        for check in (check_agent, check_bottle):
            with pytest.raises(ManifestFault, match=r"256 KB|32 levels"):
                check(raw, "x", "x.md")
    monkeypatch.setattr(skill_files, "MAX_FILES", 1)
    with pytest.raises(ManifestFault, match="more than 1 files"):
        skill_files.skill_digest(os.path.dirname(__file__), (), "x.md")


def test_d06_no_program_of_the_workspace_answers_for_a_package_client(tmp_path: Path) -> None:
    trap = tmp_path / "work/bin/npm"
    trap.parent.mkdir(parents=True)
    trap.write_text(f"#!/bin/sh\n: > {tmp_path}/ran\n")
    trap.chmod(0o755)
    environ = {"PATH": f"{trap.parent}:bin:."}
    assert Asked(environ, str(tmp_path / "work")).run(["npm", "config"]) is None
    assert not (tmp_path / "ran").exists()
    Asked(environ, "").run(["npm", "config"])
    assert (tmp_path / "ran").exists()  # control: with the workspace unknown it runs


def test_b32_a_prefix_never_ends_inside_a_segment(monkeypatch: pytest.MonkeyPatch) -> None:
    routes = "- {host: a.example, matches: [{paths: [{type: prefix, value: /v1}]}]}"
    assert ask(compiled(routes), "https://a.example/v1evil").kind is Kind.DENY
    monkeypatch.setattr(arms, "prefix_check", lambda value: lambda path: path.startswith(value))
    assert ask(compile(policy(routes)), "https://a.example/v1evil").kind is Kind.ALLOW  # control


def test_b32_the_second_decoding_is_refused_by_one_check(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused(canonical_path, "/v1/%252e%252e/admin")
    monkeypatch.setattr(paths, "_TWICE", paths.re.compile(r"\Z.\A"))
    assert not refused(canonical_path, "/v1/%252e%252e/admin")  # control
