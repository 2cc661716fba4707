"""What holds for every notifier: it says label and host and nothing else of the request, a click only looks, a fault is a
SinkFault, no secret is in a message (B73, B74). Each against a receiver that checks."""

import json
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest

from bot_bottle.audit.sinks.model import SinkFault, secret_names
from bot_bottle.base.errors import OperatorFault
from bot_bottle.supervise.notify import push
from bot_bottle.supervise.notify.chat import ChatConfig
from bot_bottle.supervise.notify.desktop import DesktopConfig
from bot_bottle.supervise.notify.email import EmailConfig
from bot_bottle.supervise.notify.engine import notice_of, trial_notice
from bot_bottle.supervise.notify.model import Notice, NotifierConfig
from bot_bottle.supervise.notify.ntfy import NtfyConfig
from bot_bottle.supervise.notify.registry import NOTIFIERS, kind_of, open_notifier
from bot_bottle.supervise.notify.webhook import WebhookConfig
from sink_receivers import HttpReceiver
from smtp_server import SmtpServer

from .conftest import LINK, NOW, PRIVATE, an_ask

SECRETS = {"key": b"signing-key-value", "topic": b"topic-name-value", "token": b"token-value-x"}
HOSTILE = (
    "evil.example\r\nBcc: x@y.example", "@channel", "<!everyone>", "<@U123>", "[click](https://evil.example)", "`code`",
    "*bold* _it_", "\x1b[31m", "\u202eevil", "<b>x</b>", "a" * 1_000_000, "$(reboot)", "--help", "%0d%0aX: y", "@room",
    "https://evil.example/x", "", "é", '"},{"x":"',
)  # fmt: skip


@dataclass
class Stand:
    """texts: what a person would see or a program would get, one per delivery. fail: the other side breaks."""

    config: NotifierConfig
    secrets: dict[str, bytes]
    texts: Callable[[], list[str]]
    fail: Callable[[], None]
    raw: Callable[[], list[bytes]] = list


def http_stand(make: Callable[[str], tuple[NotifierConfig, dict[str, bytes]]]) -> Iterator[Stand]:
    state = {"status": 200}
    receiver = HttpReceiver(lambda _post: (state["status"], {}, b"ok"))
    config, secrets = make(receiver.url)
    yield Stand(
        config, secrets, lambda: [post.body.decode() for post in receiver.posts], lambda: state.update(status=500)
    )
    receiver.stop()


def desktop_stand(tmp_path: Path) -> Iterator[Stand]:
    program, out = tmp_path / "notify-send", tmp_path / "out"
    program.write_text(
        f'#!/bin/sh\n[ -e "{tmp_path}/broken" ] && exit 1\nfor a in "$@"; do printf "%s\\0" "$a"; done >> "{out}"\nprintf "\\n" >> "{out}"\n'
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    config = DesktopConfig(command=str(program))
    yield Stand(
        config,
        {},
        lambda: out.read_text().splitlines() if out.exists() else [],
        lambda: (tmp_path / "broken").touch(),
    )


def readable(data: bytes) -> str:
    """Headers as they came, the body decoded."""
    return (
        data.decode().partition("\r\n\r\n")[0] + "\r\n\r\n" + message_from_bytes(data, policy=default).get_content()
    )


def email_stand(certs) -> Iterator[Stand]:
    server = SmtpServer(certs.server(), "token-value-x", ("gone@example.com",))
    to = ["me@example.com"]
    config = EmailConfig(
        host="localhost", port=server.port, sender="bottle@example.com", to=("me@example.com",), user="bottle",
        password_secret="token", ca=str(certs.ca),
    )  # fmt: skip
    yield Stand(
        config,
        SECRETS,
        lambda: [readable(mail.data) for mail in server.mails],
        lambda: setattr(server, "refuse", tuple(to)),
        lambda: [mail.data for mail in server.mails],
    )
    server.stop()
    assert server.faults == []


def chat(shape: str) -> Callable[[str], tuple[NotifierConfig, dict[str, bytes]]]:
    return lambda url: (ChatConfig(shape=shape, url_secret="url"), {"url": f"{url}/hooks/T0/abc-secret".encode()})  # type: ignore[arg-type]


@pytest.fixture(params=["desktop", "ntfy", "email", "slack", "mattermost", "matrix", "webhook"])
def stand(request: pytest.FixtureRequest, tmp_path: Path, certs) -> Iterator[Stand]:
    makers: dict[str, Callable[[], Iterator[Stand]]] = {
        "desktop": lambda: desktop_stand(tmp_path),
        "email": lambda: email_stand(certs),
        "ntfy": lambda: http_stand(
            lambda url: (NtfyConfig(url=url, topic_secret="topic", token_secret="token"), SECRETS)
        ),
        "webhook": lambda: http_stand(lambda url: (WebhookConfig(url=url, signing_secret="key"), SECRETS)),
        **{shape: (lambda shape=shape: http_stand(chat(shape))) for shape in ("slack", "mattermost", "matrix")},
    }
    yield from makers[request.param]()


def sent(stand: Stand, notice: Notice) -> str:
    notifier = open_notifier(stand.config, stand.secrets, "/nonexistent")
    notifier.send(notice)
    notifier.close()
    return stand.texts()[-1]


def test_the_registry_is_one_module_a_notifier() -> None:
    assert set(NOTIFIERS) == {"desktop", "ntfy", "email", "chat", "push", "webhook"}
    for kind in NOTIFIERS.values():
        assert kind.config.__struct_config__.tag == kind.name


def test_it_says_label_and_host_and_nothing_else_of_the_request(stand: Stand, notice: Notice) -> None:
    assert kind_of(stand.config).problems(stand.config) == []
    text = sent(stand, notice)
    assert "work" in text
    assert "api.example.com" in text.replace("[.]", ".")
    assert LINK in text.replace("\\/", "/")
    for word in PRIVATE:
        assert word not in text, word


def test_a_trial_notice_goes_too(stand: Stand) -> None:
    text = sent(stand, trial_notice(LINK, NOW))
    assert "test" in text
    assert LINK in text


def test_many_asks_are_one_notice(stand: Stand) -> None:
    asks = [an_ask(f"a{number}", f"h{number}.example") for number in range(500)]
    text = sent(stand, notice_of(asks, 500, LINK, NOW, after=1))
    assert "500" in text
    assert "h0.example" in text.replace("[.]", ".")
    if not isinstance(stand.config, WebhookConfig):
        assert "h400.example" not in text
        assert "497 more" in text
        assert len(text) < 3000


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_b73_no_label_or_host_is_more_than_plain_text(stand: Stand, text: str) -> None:
    notice = notice_of([an_ask("a1", host=text, label=text)], 1, LINK, NOW)
    out = sent(stand, notice)
    for part in (
        "\x1b",
        "\u202e",
        "@channel",
        "@room",
        "<!",
        "<@",
        "](https://evil",
        "<b>",
        "\nBcc:",
        "\\nBcc:",
        "`code`",
        "https://evil",
        "$(",
    ):
        assert part not in out, part
    assert len(out) < 4000


def test_a_fault_is_said_without_secrets(stand: Stand, notice: Notice) -> None:
    stand.fail()
    notifier = open_notifier(stand.config, stand.secrets, "/nonexistent")
    with pytest.raises(SinkFault) as caught:
        notifier.send(notice)
    notifier.close()
    for value in stand.secrets.values():
        assert value.decode() not in str(caught.value)
    assert "secret" not in str(caught.value).lower() or "Check the secret" in str(caught.value)


def test_an_unset_secret_is_named(stand: Stand) -> None:
    for name in secret_names(stand.config):
        with pytest.raises(OperatorFault, match=f"{name} is not set"):
            open_notifier(
                stand.config, {key: value for key, value in stand.secrets.items() if key != name}, "/nonexistent"
            )


def test_what_a_chat_gets_names_nobody_and_unfurls_nothing(notice: Notice) -> None:
    from bot_bottle.supervise.notify.chat import matrix, mattermost, slack

    made = slack(notice)
    assert (made["parse"], made["link_names"], made["unfurl_links"]) == ("none", False, False)
    assert made["blocks"][0]["text"]["type"] == "plain_text"
    assert [one["url"] for one in made["blocks"][1]["elements"]] == [LINK]
    assert "value" not in json.dumps(made), "a button that opens, none that decides"
    assert (
        mattermost(notice)["text"]
        == f"**bot-bottle: an ask waits**\n`work asks for api.example.com.`\n[Look]({LINK})"
    )
    assert matrix(notice)["html"].count("<a href=") == 1


def test_an_url_in_a_secret_is_checked_and_never_shown() -> None:
    for url in (b"http://hooks.example/T0/abc", b"https://u:p@x/abc", b"nonsense-abc"):
        with pytest.raises(SinkFault) as caught:
            open_notifier(ChatConfig(shape="slack", url_secret="url"), {"url": url}, "/nonexistent")
        assert "abc" not in str(caught.value)


def test_a_mail_is_a_mail(certs, notice: Notice) -> None:
    for made in email_stand(certs):
        sent(made, notice_of([an_ask("a1", host="x.example\r\nSubject: evil\r\n\r\nbody")], 1, LINK, NOW))
        message = message_from_bytes(made.raw()[-1], policy=default)
        assert message["Subject"] == "bot-bottle: an ask waits"
        assert message["From"] == "bottle@example.com"
        assert message["Auto-Submitted"] == "auto-generated"
        assert message.get_content_type() == "text/plain"
        assert "evil" in message.get_content(), "shown, as plain characters"
        assert len(message.get_all("Subject") or []) == 1


def test_a_mail_needs_tls_where_it_is_asked(notice: Notice) -> None:
    server = SmtpServer()
    config = EmailConfig(host="127.0.0.1", port=server.port, sender="a@b.example", to=("c@d.example",))
    with pytest.raises(SinkFault):
        open_notifier(config, {}, "/nonexistent").send(notice)
    server.stop()
    assert server.mails == []


def test_a_refused_recipient_and_a_wrong_password_are_faults(certs, notice: Notice) -> None:
    for made in email_stand(certs):
        wrong = open_notifier(made.config, {"token": b"wrong-password-value"}, "/nonexistent")
        with pytest.raises(SinkFault, match="refuses the password") as caught:
            wrong.send(notice)
        assert "wrong-password-value" not in str(caught.value)
        import msgspec

        both = msgspec.structs.replace(made.config, to=("me@example.com", "gone@example.com"))
        with pytest.raises(SinkFault, match="refuses 1"):
            open_notifier(both, made.secrets, "/nonexistent").send(notice)


def test_a_desktop_without_the_program_is_said(
    monkeypatch: pytest.MonkeyPatch, notice: Notice, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SinkFault, match="not installed"):
        open_notifier(DesktopConfig(), {}, "/nonexistent").send(notice)
    monkeypatch.setenv("SECRET_OF_OURS", "x")
    for made in desktop_stand(tmp_path):
        assert "SECRET" not in sent(made, notice)
        assert not os.path.exists("/nonexistent")


def test_push_is_for_devices_that_subscribed(tmp_path: Path) -> None:
    """More in test_push.py; here that no device is no fault."""
    notifier = open_notifier(push.PushConfig(), {}, str(tmp_path))
    notifier.send(trial_notice(LINK, NOW))
    notifier.close()
