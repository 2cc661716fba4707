"""Asks of one bottle: the keeper with its real log and store, a gateway and a person of the test's own (D25, B44)."""

import os

from bot_bottle.keeper import messages as m
from bot_bottle.policy.verdict import Target
from bot_bottle.supervise.model import Approver, AskKind, AskState, Wanted
from unit.keeper.stand import Stand

ME = Approver("os", str(os.getuid()), "me", "terminal")
WANTED = Wanted(Target("https", "hooks.example.net", 443), "POST", "/in", body_bytes=3, body_digest="b" * 64)


def test_an_ask_is_recorded_stored_and_opened_and_a_yes_lets_it_go(asking: Stand) -> None:
    opened = asking.asks(1, WANTED)
    assert opened.ask
    ask = asking.store().ask(opened.ask)
    assert ask is not None
    assert (ask.state, ask.deadline, ask.kind) == (AskState.WAITING, opened.deadline, AskKind.REQUEST)
    waits = asking.told(m.AskWaits)
    assert (waits.ask, waits.state) == (ask.id, AskState.WAITING)
    assert asking.answer(ask) == m.Answered(AskState.ALLOWED)
    settled = asking.settled()
    assert (settled.number, settled.ask, settled.allow, settled.grant) == (1, ask.id, True, "")
    asking.finish()
    assert asking.kinds() == ["start", "ask", "answer", "settled", "stop"]
