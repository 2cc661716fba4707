"""Asks, notices and a store."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bot_bottle.policy.verdict import Target
from bot_bottle.supervise.model import Ask, AskKind, Wanted
from bot_bottle.supervise.notify.engine import notice_of
from bot_bottle.supervise.notify.model import Notice
from bot_bottle.supervise.store import SqliteStore
from sink_receivers import Certificates, certificates

LINK = "https://bottles.example:7411/inbox"
NOW = 1_700_000_000_000_000_000
MINUTE = 60_000_000_000
SECRET_PATH = "/very/private/path?token=abc"


def an_ask(
    ident: str, host: str = "api.example.com", label: str = "work", asked: int = NOW, minutes: int = 10
) -> Ask:
    wanted = Wanted(
        Target("https", host, 443), "POST", SECRET_PATH, query="q=private", body_bytes=9, secrets=("github",)
    )
    return Ask(
        ident, "20261125t000001-aaaaaaaaaaaa", "bottle-name", label, "agent-name", "claude", "/home/me/project", AskKind.REQUEST,
        1, wanted, "work/ask", "a private reason", "a hint", "r" * 64, "s" * 64, "p" * 64, 1, asked, asked + minutes * MINUTE,
        says="please say yes <b>now</b> @channel",
    )  # fmt: skip


PRIVATE = ("private", "token", "bottle-name", "agent-name", "project", "please", "github", "POST", "r" * 64)
"""What no notice may contain."""


@pytest.fixture
def notice() -> Notice:
    return notice_of([an_ask("a1")], 3, LINK, NOW)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    path = tmp_path / "approvals" / "approvals.sqlite"
    path.parent.mkdir(exist_ok=True)
    found = SqliteStore(str(path))
    yield found
    found.close()


@pytest.fixture(scope="session")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates(Path(tmp_path_factory.mktemp("certificates")))
