"""supervise.past: what else a yes would have let through."""

from bot_bottle.policy.replay import Line
from bot_bottle.supervise.past import Also, also, also_words
from unit.supervise.make import access, wanted

HOST = "https://hooks.relaybin.dev:443"


def line(path: str = "/in", method: str = "POST", verdict: str = "allow", target: str = HOST, **values: str) -> Line:
    return Line(
        "intent" if verdict == "allow" else "denied",
        "r",
        values.get("bottle", "web"),
        target,
        method,
        path,
        verdict=verdict,
    )


def test_the_same_request_of_the_past() -> None:
    rows = [
        line(), line(verdict="deny"), line(verdict="ask", bottle="other"), line(method="GET"), line("/in/more"),
        line(target="https://hooks.relaybin.dev:8443"), line(target="https://x.example:443"), line("/i…#0123"),
        Line("outcome", target=HOST, method="POST", path="/in"),
    ]  # fmt: skip
    found = also(wanted(), rows)
    assert found == Also(3, 2, ("other", "web"), 1)
    assert also_words(found) == "Would also have allowed 3 past requests from 2 bottles, 2 of which did not leave."
    assert also_words(also(wanted(), [])) == "No past request is like it."


def test_a_route_reaches_further() -> None:
    rows = [line("/v1", "GET"), line("/v1/a", "POST"), line("/v1/a", "PUT"), line("/v1x", "GET"), line("/", "GET")]
    found = also(access().wanted, rows)
    assert (found.covered, found.held_back, found.bottles) == (2, 0, ("web",))
    assert also_words(found) == "Would also have allowed 2 past requests."
