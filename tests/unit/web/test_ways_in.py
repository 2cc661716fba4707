"""Keys, codes, sessions and tokens, with a clock of ours."""

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_bottle.base.clock import FixedClock
from bot_bottle.base.errors import HostFault
from bot_bottle.base.home import Home
from bot_bottle.web.pairing import ALPHABET, CODE_LENGTH, CODE_SECONDS, GUESSES, Codes, Keys, plain, spoken
from bot_bottle.web.sessions import DEVICE_SECONDS, SECOND, Sessions, csrf
from bot_bottle.web.store import Store
from bot_bottle.web.tokens import Tokens
from web_stage import Stage

NOW = 1_800_000_000 * SECOND


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(Home(str(tmp_path), str(tmp_path / "run")))


@given(st.text(alphabet=ALPHABET, min_size=CODE_LENGTH, max_size=CODE_LENGTH))
def test_a_code_survives_how_people_type_it(code: str) -> None:
    assert plain(spoken(code)) == code
    assert plain(f" {code.lower()[:3]} - {code.lower()[3:]} ") == code
    assert plain(code.replace("0", "o").replace("1", "l")) == code


def test_at_most_eight_links_or_codes_are_open_and_the_oldest_goes() -> None:
    keys = Keys(lambda: 0)
    made = [keys.issue() for _ in range(9)]
    assert not keys.take(made[0]) and keys.take(made[1]) and keys.take(made[8])


def test_a_new_code_after_a_lockout_opens_again() -> None:
    clock = FixedClock()
    codes = Codes(clock.monotonic)
    old = codes.issue()
    for _ in range(GUESSES):
        assert not codes.take("00000000")
    assert not codes.take(old) and not codes.waiting()
    fresh = codes.issue()
    assert codes.waiting() and codes.take(fresh) and not codes.waiting()


def test_wrong_guesses_count_across_codes_that_are_still_open() -> None:
    """A guesser who makes the person issue codes again and again gains nothing while one is open."""
    codes = Codes(lambda: 0)
    codes.issue()
    for _ in range(GUESSES - 1):
        codes.take("00000000")
    second = codes.issue()
    codes.take("00000000")
    assert not codes.take(second)


def test_codes_expire_to_the_nanosecond() -> None:
    clock = FixedClock()
    codes = Codes(clock.monotonic)
    first, second = codes.issue(), codes.issue()
    clock.advance(CODE_SECONDS * SECOND - 1)
    assert codes.take(first)
    clock.advance(1)
    assert not codes.take(second)


def test_one_code_pairs_one_device_even_at_the_same_moment() -> None:
    codes = Codes(lambda: 0)
    for _ in range(20):
        code = codes.issue()
        won: list[bool] = []
        threads = [
            threading.Thread(target=lambda code, won: won.append(codes.take(code)), args=(code, won))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert won.count(True) == 1
        codes._wrong = 0


def test_a_session_lives_until_it_expires_is_replaced_or_revoked(store: Store) -> None:
    sessions = Sessions(store)
    first = sessions.open("phone", "device", "a" * 1000, NOW)
    found = sessions.find(first, NOW + 1)
    assert found is not None and found.csrf == csrf(first) and found.device.name == "phone"
    assert len(found.device.agent) == 200 and first not in (found.hash, found.device.id)
    assert sessions.find(first, NOW + DEVICE_SECONDS * SECOND) is None
    second = sessions.open("phone", "device", "", NOW + 2, old=first)
    assert sessions.find(first, NOW + 3) is None and not sessions.lives(found.hash, NOW + 3)
    living = sessions.find(second, NOW + 3)
    assert living is not None and sessions.lives(living.hash, NOW + 3)
    assert sessions.revoke(living.device.id, NOW + 4) and not sessions.revoke(living.device.id, NOW + 4)
    assert sessions.find(second, NOW + 5) is None and not sessions.lives(living.hash, NOW + 5)
    assert [one.revoked > 0 for one in sessions.devices()] == [True, True]


def test_when_a_device_was_seen_is_kept_by_the_minute(store: Store) -> None:
    sessions = Sessions(store)
    mine = sessions.open("phone", "device", "", NOW)
    sessions.find(mine, NOW + 30 * SECOND)
    assert sessions.devices()[0].seen == NOW
    sessions.find(mine, NOW + 90 * SECOND)
    assert sessions.devices()[0].seen == NOW + 90 * SECOND


@given(st.text(max_size=80))
def test_no_text_is_a_session_or_a_token_by_chance(text: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        store = Store(Home(directory, directory))
        Sessions(store).open("a", "local", "", NOW)
        Tokens(store).issue("a", ["read"], NOW)
        assert Sessions(store).find(text, NOW) is None and Tokens(store).find(text, NOW) is None


def test_a_token_has_the_scopes_it_got_until_it_ends(store: Store) -> None:
    tokens = Tokens(store)
    token, text = tokens.issue("ci", ["control", "read", "read"], NOW, NOW + 10)
    assert token.scopes == ("read", "control") and text.startswith("bb_") and len(text) == 46
    found = tokens.find(text, NOW + 9)
    assert found is not None and found.id == token.id
    assert tokens.find(text, NOW + 10) is None and not tokens.lives(token.id, NOW + 10)
    lasting, _ = tokens.issue("for ever", ["read"], NOW)
    assert tokens.lives(lasting.id, NOW * 2) and tokens.revoke(lasting.id, NOW)
    assert not tokens.lives(lasting.id, NOW) and not tokens.revoke(lasting.id, NOW)
    assert text not in str(tokens.all())


def test_the_store_is_private_and_survives_a_writer_that_dies(store: Store) -> None:
    import os

    assert os.stat(store.path).st_mode & 0o777 == 0o600
    with pytest.raises(RuntimeError), store.write() as database:
        database.execute("INSERT INTO tokens VALUES ('a', 'b', 'c', 'read', 1, 1, 1, 0)")
        raise RuntimeError
    assert Tokens(store).all() == []


def test_a_store_of_a_newer_version_is_not_touched(tmp_path: Path) -> None:
    home = Home(str(tmp_path), str(tmp_path / "run"))
    with Store(home).write() as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(HostFault, match="newer"):
        Store(home)


def test_the_start_form_names_the_bottle_that_a_person_chose(stage: Stage) -> None:
    stage.running("one")
    with stage.web().sign_in() as web:
        values = {"agent": "claude", "project": "/work/site", "prompt": "Mend it"}
        assert web.post("/start", values | {"bottle": "web"}).status == 303
        assert web.post("/start", values | {"bottle": ""}).status == 303
        assert [wish.request.bottles for wish in web.started] == [("web",), ()]
