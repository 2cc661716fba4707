"""`always`: a bottle file that is in order gains exactly one route, whatever is in it, or is refused (D25)."""

import sys

import msgspec

from bot_bottle.base.errors import ManifestFault
from bot_bottle.policy import model
from bot_bottle.policy.check import check_bottle
from bot_bottle.supervise.leaf_text import Unfit, with_route

_ROUTE = model.Route(
    host="hooks.example",
    matches=[model.Condition(paths=[model.PathCondition("exact", "/in")], methods=["POST"])],
)


def test_one_input(data: bytes) -> None:
    for raw in (data, b"---\n" + data + b"\n---\nNotes\n", b"---\negress:\n" + data + b"\n---\n"):
        try:
            old = check_bottle(raw, "x", "x.md")
        except ManifestFault:
            continue
        try:
            after = with_route(raw.decode(), _ROUTE, "why")
            new = check_bottle(after.encode(), "x", "x.md")
        except (Unfit, ManifestFault):  # leaf.propose refuses: nothing is written
            continue
        egress = msgspec.structs.replace(old.bottle.egress, routes=[*old.bottle.egress.routes, _ROUTE])
        same = new.bottle == msgspec.structs.replace(old.bottle, egress=egress)
        assert same or _ROUTE.host.encode() in raw, "more than one route changed"


if __name__ == "__main__":
    import atheris

    atheris.instrument_all()
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
