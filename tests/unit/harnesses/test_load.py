"""Loading harness files: all faults at once, each with the nearest key; a broken file stops only what uses it."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_bottle.base.errors import ManifestFault, UsageFault
from bot_bottle.harnesses import load

GOOD = 'format = 1\nname = "mine"\ntitle = "Mine"\n[headless]\nargv = ["{entry}"]\n[interactive]\n'


def contrib(home: Path, name: str, text: str) -> Path:
    folder = home / "contrib"
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.toml"
    path.write_text(text)
    return path


def faults(text: str) -> list[str]:
    with pytest.raises(ManifestFault) as caught:
        load.parse(text, "x.toml")
    return [str(problem) for problem in caught.value.problems]


def test_the_shipped_harnesses_load() -> None:
    assert sorted(load.shipped()) == ["claude", "codex", "command", "mini", "pi"]


def test_every_fault_is_told_at_once_with_the_nearest_key() -> None:
    text = (
        'format = 1\nname = "x"\n[headless]\nargvv = []\nargv = 5\n[interactive]\n'
        '[[routes]]\nname = "a"\nhost = "h"\nmatches = []\nerror = "anthropc"\n[success]\nevent = "pi"\n'
    )
    found = faults(text)
    assert len(found) == 5
    assert "x.toml:4: unknown key headless.argvv (did you mean argv?)" in found
    assert any(one.startswith("x.toml:5: headless.argv: expected") for one in found)
    assert any("error" in one and "one of anthropic, google, openai" in one for one in found)
    assert any("success.event (did you mean events?)" in one for one in found)
    assert any("title is missing" in one for one in found)


def test_references_that_lead_nowhere_are_faults() -> None:
    text = GOOD.replace("{entry}", "{promt}") + (
        '[env]\nA = "{placeholder:nobody}"\n[[credentials]]\nsecret = "s"\ntitle = "t"\n'
        'placeholder = {prefix = "x"}\ninject = [{route = "nowhere", scheme = "header"}]\n'
    )
    found = "\n".join(faults(text))
    for word in ("{promt}", "did you mean prompt?", "nobody", "nowhere", "needs a name"):
        assert word in found


def test_text_that_is_no_toml_is_one_sentence() -> None:
    assert faults("= 1")[0].startswith("x.toml: this is not TOML")


def test_a_persons_file_is_found_and_a_broken_one_stops_only_itself(home: Path) -> None:
    contrib(home, "mine", GOOD)
    contrib(home, "broken", "formt = 1\n")
    catalogue = load.load_all(str(home))
    assert catalogue.get("mine").harness.title == "Mine"
    assert catalogue.get("mine").origin.endswith("mine.toml")
    with pytest.raises(ManifestFault):
        catalogue.get("broken")


def test_an_unknown_harness_names_the_nearest(home: Path) -> None:
    with pytest.raises(UsageFault) as caught:
        load.load_all(str(home)).get("claud")
    assert "claude" in caught.value.hint


def test_a_shipped_harness_is_not_shadowed_silently(home: Path) -> None:
    contrib(home, "claude", GOOD.replace('"mine"', '"claude"'))
    catalogue = load.load_all(str(home))
    assert catalogue.get("claude").origin == "shipped"
    assert "replaces_shipped" in str(next(iter(catalogue.problems.values()))[0])
    contrib(home, "claude", GOOD.replace('"mine"', '"claude"\nreplaces_shipped = true'))
    assert load.load_all(str(home)).get("claude").harness.title == "Mine"


def test_the_name_is_that_of_the_file_and_the_format_is_known(home: Path) -> None:
    path = contrib(home, "other", GOOD.replace("format = 1", "format = 2"))
    found = [str(one) for one in load.load_all(str(home)).problems[str(path)]]
    assert any("the file is other.toml" in one for one in found)
    assert any("format 2" in one for one in found)


def test_unreadable_files_are_told(home: Path) -> None:
    contrib(home, "large", "#" * (load.MAX_BYTES + 1))
    (home / "contrib" / "bytes.toml").write_bytes(b"\xff\xfe")
    os.symlink("/nonexistent", home / "contrib" / "gone.toml")
    slugs = {one.slug for found in load.load_all(str(home)).problems.values() for one in found}
    assert slugs == {"too-large", "not-utf8", "unreadable"}


def test_the_digest_changes_with_the_content() -> None:
    one, other = load.parse(GOOD, "x"), load.parse(GOOD.replace("Mine", "Yours"), "x")
    assert load.digest(one) != load.digest(other)
    assert load.digest(one) == load.digest(load.parse("# a comment\n" + GOOD, "x"))


@given(st.text(max_size=400))
def test_any_text_is_a_harness_or_a_fault(text: str) -> None:
    for candidate in (text, GOOD + text):
        try:
            load.parse(candidate, "x")
        except ManifestFault as fault:
            assert fault.problems


def test_the_format_holds_a_refreshing_login() -> None:
    """What a later issue needs is representable (facts: agents 5)."""
    text = GOOD + (
        '[[routes]]\nname = "m"\nhost = "chatgpt.com"\nmatches = [{methods = ["POST"]}]\nprotocols = ["http1", "websocket"]\n'
        '[[credentials]]\nsecret = "codex-login"\ntitle = "ChatGPT"\nplaceholder = {prefix = "x"}\ninject = [{route = "m"}]\n'
        '[credentials.login]\nfile = ".codex/auth.json"\naccess = "/tokens/access_token"\n'
        'refresh_token = "/tokens/refresh_token"\nexpiry = "/last_refresh"\nexpiry_kind = "iso"\n'
        '[credentials.login.refresh]\nhost = "auth.openai.com"\npath = "/oauth/token"\nbody = "json"\n'
    )
    login = load.parse(text, "x").credentials[0].login
    assert login and login.refresh and login.refresh.host == "auth.openai.com"
