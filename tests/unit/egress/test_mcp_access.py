"""egress.mcp.access: what exactly is asked for, and what no person is bothered with."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_bottle.egress.mcp.access import Found, parse_url, wanted
from bot_bottle.egress.mcp.answers import Result
from bot_bottle.egress.mcp.catalogue import RequestAccess
from bot_bottle.policy.decide import Compiled, compile, decide
from bot_bottle.policy.effective import Match, PathMatch, Policy, Route
from bot_bottle.policy.grants import DEFAULT, Grant
from bot_bottle.policy.verdict import Auth, Kind, Request, Target

OPEN = Route("b/open", "open.test", matches=(Match(methods=("GET",)),))
SHUT = Route("b/shut", "shut.test", scheme="", ports=(), action="deny")
HELD = Route("b/held", "held.test", action="ask", auth=Auth("bearer", "key"))
PART = Route(
    "b/part", "open.test", action="ask", matches=(Match(methods=("POST",), paths=(PathMatch("prefix", "/w"),)),)
)


def policy(*routes: Route, default: str = "deny") -> Compiled:
    return compile(Policy("b", routes or (OPEN, SHUT, HELD, PART), default=default))


def ask(compiled: Compiled, **arguments: object) -> Found | Result:
    return wanted(compiled, RequestAccess(justification="why", **arguments))  # type: ignore[arg-type]


def found(compiled: Compiled, **arguments: object) -> Found:
    got = ask(compiled, **arguments)
    assert isinstance(got, Found), got
    return got


def result(compiled: Compiled, **arguments: object) -> Result:
    got = ask(compiled, **arguments)
    assert isinstance(got, Result), got
    return got


def test_a_url_and_its_parts_ask_for_the_same() -> None:
    by_url = found(policy(), url="https://New.Test:8443/a/../b/?q=1#f", methods=["post", "GET"])
    by_parts = found(policy(), host="new.test", port=8443, path="/b/", methods=["GET", "POST"])
    assert by_url == by_parts
    assert by_url.wanted.target == Target("https", "new.test", 8443) and by_url.wanted.path == "/b/"
    assert by_url.wanted.methods == ("GET", "POST") and by_url.rule == DEFAULT and by_url.wanted.method == ""


@pytest.mark.parametrize(
    "arguments",
    [
        {}, {"url": "https://a.test/", "host": "a.test"}, {"url": "ftp://a.test/"}, {"url": "a.test"}, {"url": "https:///x"},
        {"url": "https://u:p@a.test/"}, {"url": "https://a.test:0/"}, {"url": "https://a.test:99999/"}, {"url": "https://a b/"},
        {"url": "https://a.test/\n"}, {"url": "https://a.test/%2e%2e%2f"}, {"host": "a..test"}, {"host": "0x7f.1"}, {"host": "*.test"},
        {"host": "a.test", "path": "x"}, {"host": "a.test", "methods": ["G ET"]}, {"host": "a.test", "methods": ["CONNECT"]},
        {"url": "https://[::1"}, {"url": "https://a.test\\@b.test/"}, {"host": "bot-bottle.internal"},
        {"url": "http://x.bot-bottle.internal/"}, {"host": "BOT-BOTTLE.internal."},
    ],
)  # fmt: skip
def test_what_is_no_target_is_an_error_that_the_model_sees(arguments: dict[str, object]) -> None:
    got = result(policy(), **arguments)
    assert got.error and got.state == "error" and got.message.endswith(".")


def test_what_is_allowed_already_is_not_asked() -> None:
    assert result(policy(), url="https://open.test/x").state == "allowed"


def test_what_a_rule_denies_is_never_asked_b74() -> None:
    got = result(policy(), url="http://shut.test:99/x")
    assert got.state == "refused" and got.data["rule"] == "b/shut"
    assert result(policy(), url="https://open.test/", methods=["GET"]).state == "allowed"


def test_an_address_that_no_answer_opens_is_never_asked() -> None:
    for host in ("127.0.0.1", "169.254.169.254", "10.0.0.1", "::1", "localhost", "x.LOCALHOST."):
        got = result(policy(default="ask"), host=host)
        assert got.state == "refused" and str(got.data["reason"]).startswith("address.")
    assert found(policy(), host="93.184.216.34").rule == DEFAULT


def test_an_ask_route_is_named_and_its_secret_is_for_the_person_alone() -> None:
    got = found(policy(), url="https://held.test/x")
    assert got.rule == "b/held" and got.wanted.secrets == ("key",)


def test_methods_under_different_rules_are_asked_apart() -> None:
    assert result(policy(), url="https://open.test/w", methods=["POST", "DELETE"]).state == "error"
    assert found(policy(), url="https://open.test/w", methods=["GET", "POST"]).rule == "b/part"


def test_a_yes_for_once_is_not_asked_for_again() -> None:
    grant = Grant("g", "a", DEFAULT, "https", "new.test", 443, "http1", "/x", 1, ("GET",), prefix=True, once=True)
    granted = compile(policy().policy, (grant,))
    assert result(granted, url="https://new.test/x/y").state == "allowed"
    assert found(granted, url="https://new.test/x", methods=["POST"]).rule == DEFAULT
    assert found(granted, url="https://new.test/z").rule == DEFAULT


PATHS = st.lists(st.sampled_from(["a", "b", "admin", "x"]), max_size=3).map(lambda parts: "/" + "/".join(parts))


@given(PATHS, PATHS, st.sampled_from(["GET", "POST", "DELETE"]), st.sampled_from(["deny", "ask"]))
def test_a_yes_allows_what_was_asked_for_and_nothing_beside_it(
    asked: str, path: str, method: str, default: str
) -> None:
    """The grant that a keeper makes of an ask for access (D25): its methods, its path and below, its target."""
    base = policy(
        OPEN,
        Route("b/no", "new.test", action="deny", matches=(Match(paths=(PathMatch("prefix", "/admin"),)),)),
        default=default,
    )
    got = ask(base, url=f"https://new.test{asked}", methods=["GET", "POST"])
    if isinstance(got, Result):
        assert asked.startswith("/admin")
        return
    grant = Grant(
        "g", "a", got.rule, "https", "new.test", 443, "http1", got.wanted.path, 1, got.wanted.methods, prefix=True
    )
    granted = compile(base.policy, (grant,))
    verdict = decide(granted, Request(Target("https", "new.test", 443), method, path))
    below = path == asked or path.startswith(asked.rstrip("/") + "/")
    expected = below and method in ("GET", "POST") and not path.startswith("/admin")
    assert (verdict.kind is Kind.ALLOW) == expected
    for other in (
        Target("http", "new.test", 80),
        Target("https", "new.test", 8443),
        Target("https", "x.new.test", 443),
    ):
        assert decide(granted, Request(other, "GET", asked)).kind is not Kind.ALLOW


@given(st.text(max_size=40))
def test_any_text_is_a_target_or_a_value_error(text: str) -> None:
    for url in (text, "https://" + text, "http://a.test" + text):
        try:
            target, path = parse_url(url)
        except ValueError:
            continue
        assert target.scheme in ("http", "https") and path.startswith("/")
