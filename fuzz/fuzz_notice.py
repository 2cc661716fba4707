"""Notices: whatever label and host an agent chose, no receiver gets more than plain characters and our link."""

import json
import re
import sys

from bot_bottle.policy.verdict import Target
from bot_bottle.supervise.model import Ask, AskKind, Wanted
from bot_bottle.supervise.notify import chat
from bot_bottle.supervise.notify.email import EmailConfig, EmailNotifier
from bot_bottle.supervise.notify.engine import notice_of

LINK = "https://me.example/inbox"
_ALLOWED = re.compile(r"[A-Za-z0-9.:_?\[\], -]*\Z")
_MAIL = EmailNotifier(EmailConfig(host="h", sender="a@b.example", to=("c@d.example",)), {})


def test_one_input(data: bytes) -> None:
    label, _, host = data.decode("utf-8", "replace").partition("\x00")
    wanted = Wanted(Target("https", host, 443), "GET", "/")
    ask = Ask("a", "r", "b", label, "g", "h", "", AskKind.REQUEST, 1, wanted, "r", "", "", "q", "s", "p", 1, 0, 1)
    notice = notice_of([ask], 1, LINK, 0)
    for text in (notice.title, notice.sentence, notice.inert):
        assert _ALLOWED.match(text), text
        assert len(text) < 400
    for shape in (chat.slack, chat.mattermost, chat.matrix):
        out = json.dumps(shape(notice))
        assert out.count("://") == out.count(LINK)
    mail = _MAIL.message(notice).as_bytes()
    head = mail.partition(b"\r\n\r\n")[0]
    names = [line.partition(b":")[0] for line in head.split(b"\r\n") if not line.startswith((b" ", b"\t"))]
    assert len(names) == len(set(names))
    assert {b"From", b"To", b"Subject"} <= set(names)


if __name__ == "__main__":
    import atheris

    atheris.instrument_all()
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
