"""The policies that ship: every harness with every credential, alone and with every shipped bottle."""

import itertools
import subprocess
import sys

import pytest

from bot_bottle.base.home import Home
from bot_bottle.bottles.manifests import Library
from bot_bottle.harnesses import fit
from bot_bottle.harnesses.load import shipped
from bot_bottle.policy import decide as decide_module
from bot_bottle.policy.decide import compile, decide, routes_for_host
from bot_bottle.policy.hosts import canonical_pattern
from bot_bottle.policy.merge import effective
from bot_bottle.policy.paths import canonical_path
from bot_bottle.policy.verdict import Kind, Request, Target

CASES = [
    (name, credential, mode)
    for name, harness in sorted(shipped().items())
    for credential in (harness.credentials or (None,))
    for mode in ("headless", "interactive")
]


@pytest.mark.parametrize(("name", "credential", "mode"), CASES)
@pytest.mark.parametrize("bottle", ["default", "github-read"])
def test_every_harness_reaches_its_model_and_nothing_else(
    name: str, credential: fit.Credential | None, mode: fit.Mode, bottle: str
) -> None:
    given = fit.routes(shipped()[name], mode, credential)
    merged = Library(Home("/nowhere", "/nowhere"), "/nowhere").resolve([bottle])
    known = compile(effective(merged, bottle, given))
    for route in given:
        assert canonical_pattern(route.host) == route.host
        for match, method in itertools.chain.from_iterable(((one, m) for m in one.methods) for one in route.matches):
            for path in match.paths:
                if path.type == "regex":
                    continue
                assert canonical_path(path.value) == path.value
                asked = Request(Target("https", route.host, 443), method, path.value, protocol=route.protocols[0])
                assert decide(known, asked).rule == route.rule
        for method, path in (
            ("DELETE", "/"),
            ("GET", "/v1/files"),
            ("POST", "/v1/files"),
            ("POST", "/api/event_logging/v2/batch"),
        ):
            verdict = decide(known, Request(Target("https", route.host, 443), method, path))
            assert verdict.kind is Kind.DENY and verdict.reason != decide_module.TIE
    assert not routes_for_host(known, "statsig.anthropic.com")


def test_the_gateway_loads_no_parser_of_manifests_and_no_expressions() -> None:
    """Its 30 MB: decide, paths, hosts and addresses come without YAML, re2, hashing of JSON, or click."""
    code = (
        "import sys; import bot_bottle.policy.decide, bot_bottle.policy.addresses, bot_bottle.policy.explain;"
        "print(sorted(m for m in ('ruamel.yaml', 're2', 'rfc8785', 'click', 'rich', 'socket', 'ssl') if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True, cwd="/")
    assert done.stdout.strip() == "[]"
