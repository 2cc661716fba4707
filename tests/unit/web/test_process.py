"""The process and its starter: frames both ways, ends, listeners, what it says; page and phone helpers."""

import os
import time
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_bottle.base.errors import BusyFault, HostFault, UsageFault
from bot_bottle.base.home import Home
from bot_bottle.web import phone, profile, seal
from bot_bottle.web.main import allowed
from bot_bottle.web.messages import Begin, Listen
from bot_bottle.web.page import environment, fields, shown
from bot_bottle.web.starter import refused
from web_stage import Stage, until


def test_it_ends_when_its_starter_is_gone(stage: Stage) -> None:
    web = stage.web()
    begun = time.monotonic()
    web.close()
    assert web.process.returncode == 0 and time.monotonic() - begun < 10


def test_it_ends_on_sigterm_with_a_stream_open(stage: Stage) -> None:
    import http.client

    web = stage.web().sign_in()
    link = http.client.HTTPConnection("127.0.0.1", web.port, timeout=10)
    link.request("GET", "/events", headers={"cookie": web.cookie})
    with link.getresponse() as reply:
        reply.readline()
        begun = time.monotonic()
        web.process.terminate()
        assert reply.read() is not None
    link.close()
    assert web.process.wait(5) == 0 and time.monotonic() - begun < 10


def test_the_first_key_is_in_its_first_word_and_later_ones_on_demand(stage: Stage) -> None:
    web = stage.web()
    assert web.raw("GET", f"/?key={web.serving.key}", {}).status == 303
    first, second = web.link, web.link
    assert first != second and web.raw("GET", second.removeprefix(web.url), {}).status == 303


def test_a_port_in_use_is_told_and_nothing_listens(stage: Stage) -> None:
    web = stage.web()
    with pytest.raises(RuntimeError, match=r"web\.port: The port"):
        stage.web(listen=(Listen(port=web.port),))


def test_what_the_starter_refuses_reaches_the_caller() -> None:
    assert isinstance(refused("label.busy", "a", "b"), BusyFault)
    assert isinstance(refused("x.y", "a", "b"), UsageFault)


@pytest.mark.parametrize("place", [Listen(), Listen("::1"), Listen("127.9.9.9"), Listen(passed=True)])
def test_loopback_needs_nothing(place: Listen) -> None:
    allowed(Begin("/h", "/r", (place,)))


def test_elsewhere_needs_a_stated_proxy_with_https() -> None:
    place = Listen("10.0.0.1", proxied=True)
    allowed(Begin("/h", "/r", (place,), proxies=("10.0.0.2",), public="https://b.example"))
    for more in (
        {"proxies": ("10.0.0.2",)},
        {"public": "https://b.example"},
        {"proxies": ("10.0.0.2",), "public": "http://b.example"},
    ):
        with pytest.raises(UsageFault, match="does not listen"):
            allowed(Begin("/h", "/r", (place,), **more))  # type: ignore[arg-type]


def test_the_process_is_small(stage: Stage) -> None:
    """Idle, after a page and an answer of the API: what a person's machine pays for it."""
    web = stage.web().sign_in()
    assert web.api("GET", "/devices").status == 200
    rollup = Path(f"/proc/{web.process.pid}/smaps_rollup")
    try:
        rows = dict(line.split(":") for line in rollup.read_text().splitlines()[1:])
    except PermissionError:  # not dumpable, and we are not root
        return
    assert int(rows["Pss"].split()[0]) < 90_000


@given(st.text(max_size=300))
def test_a_template_prints_only_what_can_be_seen(text: str) -> None:
    made = environment().from_string("{{ text }}").render(text=text)
    hidden = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert all(unicodedata.category(c) not in hidden or c == "\n" for c in made)
    assert "<" not in made and ">" not in made


def test_markup_of_a_macro_stays_markup() -> None:
    made = environment().from_string("{% macro m(x) %}<b>{{ x }}</b>{% endmacro %}{{ m('<i>') }}").render()
    assert made == "<b>&lt;i&gt;</b>" and shown(7) == 7


@given(st.binary(max_size=300))
def test_a_form_is_read_or_refused(body: bytes) -> None:
    from bot_bottle.web.problem import WebFault

    try:
        found = fields(body)
    except WebFault as error:
        assert error.status == 400
    else:
        assert all(isinstance(value, str) for value in found.values())


def test_the_seal_says_the_newest_checkpoint_of_the_host_log(stage: Stage, tmp_path: Path) -> None:
    assert seal.newest(Home(str(tmp_path / "none"), "/r")) is None
    stage.ended("one")
    first = seal.newest(stage.home)
    stage.ended("two")
    second = seal.newest(stage.home)
    assert first is not None and second is not None and second.size > first.size > 0 and second.at >= first.at
    (Path(stage.home.host_log) / "checkpoint").write_bytes(b"\xff nonsense")
    assert seal.newest(stage.home) is None


def test_a_qr_code_for_terminal_and_page() -> None:
    link = "https://192.168.1.7:8443/pair#ABCDEFGH"
    assert len(phone.qr_text(link).splitlines()) > 10
    assert phone.qr_image(link).startswith("data:image/svg+xml")
    assert all(name == name.lower() for name in phone.names())


def test_a_profile_is_the_same_for_the_same_authority(stage: Stage) -> None:
    import datetime
    import plistlib

    from bot_bottle.keeper.web_authority import WebAuthority

    pem = WebAuthority(stage.home.keys, "box", datetime.datetime.now(datetime.UTC)).pem
    first = profile.mobileconfig(pem)
    assert first == profile.mobileconfig(pem)
    payload = plistlib.loads(first)["PayloadContent"][0]
    assert payload["PayloadContent"] == profile.der(pem)


def test_a_damaged_or_open_authority_is_refused(stage: Stage) -> None:
    import datetime

    from bot_bottle.base.errors import OperatorFault
    from bot_bottle.keeper.web_authority import FILE, WebAuthority

    now = datetime.datetime.now(datetime.UTC)
    first = WebAuthority(stage.home.keys, "box", now).fingerprint
    assert WebAuthority(stage.home.keys, "box", now).fingerprint == first
    later = WebAuthority(stage.home.keys, "box", now + datetime.timedelta(days=3300))
    assert later.fingerprint != first  # it would have ended within a year
    path = Path(stage.home.keys) / FILE
    path.chmod(0o644)
    with pytest.raises(OperatorFault, match="read by others"):
        WebAuthority(stage.home.keys, "box", now)
    path.chmod(0o600)
    path.write_text("nonsense")
    with pytest.raises(OperatorFault, match="not the dashboard's authority"):
        WebAuthority(stage.home.keys, "box", now)


def test_the_starter_hears_of_questions_and_answers_by_number(stage: Stage) -> None:
    web = stage.web()
    token = web.token("admin")
    assert web.api("POST", "/tokens", {"name": "x"}, token).status == 201
    assert [one.number for one in web.controls] == [1, 2]
    assert web.controls[1].approver.startswith("token:")
    until(lambda: os.path.exists(f"{stage.home.web}/web.sqlite"))
    assert HostFault is not None
