"""settings.toml: everything that is wrong at once, with file, line and the nearest key; nothing secret in it."""

import json
import os
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_bottle.api.settings import Retention, Serve, Settings, SettingsFault, load, parse
from bot_bottle.api.toml_lines import line_of, lines
from bot_bottle.audit.sinks.file import FileConfig
from bot_bottle.audit.sinks.otlp import OtlpConfig
from bot_bottle.base.home import Home
from bot_bottle.supervise.notify.email import EmailConfig

GOOD = b"""
[serve]
port = 7411
names = ["laptop.local"]
public = "https://bottles.example"

[retention]
days = 365

[sink.disk]
kind = "file"
path = "/var/log/bot-bottle.jsonl"
rotate = "50MB"

[sink.otel]
kind = "otlp"
url = "https://collector.example/v1/logs"
token_secret = "otel-token"
format = "ocsf"
checkpoints = false

[notify.mail]
kind = "email"
host = "mail.example"
sender = "bottle@example.com"
to = ["me@example.com", "you@example.com"]
user = "bottle"
password_secret = "smtp"
after = "5m"
"""


def problems(text: str) -> list[tuple[int, str]]:
    with pytest.raises(SettingsFault) as caught:
        parse(text.encode(), "settings.toml")
    return [(one.line, f"{one.what} | {one.hint}") for one in caught.value.problems]


def test_a_good_file_says_all() -> None:
    found = parse(GOOD)
    assert found.serve == Serve(port=7411, names=("laptop.local",), public="https://bottles.example")
    assert found.retention == Retention(365)
    assert found.sinks["disk"] == FileConfig(path="/var/log/bot-bottle.jsonl", rotate="50MB")
    otel = found.sinks["otel"]
    assert isinstance(otel, OtlpConfig)
    assert (otel.format, otel.checkpoints, otel.token_secret) == ("ocsf", False, "otel-token")
    mail = found.notifiers["mail"]
    assert isinstance(mail, EmailConfig)
    assert (mail.to, mail.after) == (("me@example.com", "you@example.com"), "5m")
    assert found.secrets() == ("otel-token", "smtp")


def test_no_file_is_the_defaults(tmp_path: Path) -> None:
    home = Home(str(tmp_path), str(tmp_path))
    assert load(home) == Settings()
    Path(home.settings).write_bytes(GOOD)
    assert load(home).retention.days == 365
    Path(home.settings).write_bytes(b"[nonsense]\n")
    with pytest.raises(SettingsFault) as caught:
        load(home)
    assert str(caught.value).startswith("settings.toml:1: nonsense is not known")
    assert caught.value.exit_code == 3


def test_all_problems_come_together_with_their_lines() -> None:
    text = """# comment
[serve]
prot = 80
[sink.siem]
kind = "syslog"
address = "logs.example:514"
formt = "cef"
[sink.disk]
kind = "fil"
[sink.vault]
kind = "s3"
bucket = "b"
lock = "complience"
[notify.phone]
kind = "ntfy"
url = "https://ntfy.sh"
every = "often"
[notify.mail]
kind = "email"
sender = "x"
to = "me"
host = "h"
[retention]
days = "ever"
[sinks.x]
"""
    found = problems(text)
    assert [line for line, _ in found] == sorted(line for line, _ in found)
    said = "\n".join(f"{line}: {what}" for line, what in found)
    for part in (
        "3: serve.prot is not known | did you mean port?",
        "7: sink.siem.formt is not known | did you mean format?",
        "9: sink.disk.kind is fil, which does not exist | did you mean file?",
        "10: sink.vault has no access_secret",
        "13: sink.vault.lock does not fit: Invalid enum value 'complience' | did you mean compliance?",
        "14: notify.phone has no topic_secret",
        "17: notify.phone.every does not fit",
        "21: notify.mail.to does not fit",
        "24: retention.days does not fit",
        "25: sinks is not known | did you mean sink?",
    ):
        assert part in said, said


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ('[sink.s]\nkind = "syslog"\naddress = "logs.example:514"', 3, "is not encrypted"),
        ('[sink.s]\nkind = "otlp"\nurl = "http://x.example/"', 3, "is not encrypted"),
        ('[sink.s]\nkind = "otlp"\nurl = "https://me:pw@x.example/"', 3, "name a secret instead"),
        ('[sink.s]\nkind = "file"\npath = "relative"', 3, "no absolute path"),
        ('[sink.s]\nkind = "file"\npath = "/x"\nformat = "csv"', 4, "no format of single records"),
        ('[sink.s]\nkind = "file"\npath = "/x"\nformat = "parquet"', 4, "no format of single records"),
        ('[sink."Bad Name"]\nkind = "file"\npath = "/x"', 1, "is no name"),
        ('[sink."../x"]\nkind = "file"\npath = "/x"', 1, "is no name"),
        ("sink = 3", 1, "is no table"),
        ("[sink]\ns = 3", 2, "is no table"),
        ("[sink.s]\npath = 3", 1, "has no kind"),
        ("[serve]\nport = 70000", 2, "is no port"),
        ('[serve]\npublic = "http://x"', 2, "is no https URL"),
        ("[retention]\ndays = -1", 2, "is no number of days"),
        ('[notify.m]\nkind = "email"\nsender = "a@b\\r\\nBcc: x@y"\nto = ["a@b"]\nhost = "h"', 3, "is no address"),
        ('[notify.m]\nkind = "email"\nsender = "a@b.c"\nto = ["a@b.c"]\nhost = "h"\nsecurity = "none"', 6, "this machine only"),
        ('[notify.p]\nkind = "push"\ncontact = "me"', 3, "is no mailto"),
        ('[notify.d]\nkind = "desktop"\ncommand = "sh"', 3, "no absolute path"),
        ("[serve\nport = 1", 1, "is no TOML"),
        ("a = 1\nb = ", 2, "is no TOML"),
        ("\n\nx = \x00", 3, "is no TOML"),
    ],
)  # fmt: skip
def test_one_problem_and_its_line(text: str, line: int, what: str) -> None:
    found = problems(text)
    assert len(found) == 1, found
    assert found[0][0] == line
    assert what in found[0][1]


def test_a_problem_shows_no_hidden_characters() -> None:
    """B73: the file may have come with a checkout."""
    (_, said), *_ = problems('["\\u001b[31m\\u202e"]\nx = 1')
    assert "\x1b" not in said
    assert "\u202e" not in said


def test_no_utf8_is_said() -> None:
    with pytest.raises(SettingsFault, match="no UTF-8"):
        parse(b"\xff\xfe")


@pytest.mark.parametrize("place", ["log/runs/x", "log/host/journal/0", "keys/x", "forward/y", "link/x"])
def test_no_sink_writes_into_the_home(tmp_path: Path, place: str) -> None:
    """It would forward what it forwards, or write beside keys."""
    home = Home(str(tmp_path / "home"), str(tmp_path / "home"))
    os.makedirs(f"{home.root}/log/host")
    os.symlink(f"{home.root}/log/host", f"{home.root}/link")
    Path(home.settings).write_text(f'[sink.s]\nkind = "file"\npath = "{home.root}/{place}"\n')
    with pytest.raises(SettingsFault, match=r"settings\.toml:3: sink\.s\.path lies in a folder of the home"):
        load(home)
    Path(home.settings).write_text(f'[sink.s]\nkind = "file"\npath = "{tmp_path}/out"\n')
    assert load(home).sinks


def test_an_unreadable_file_is_said(tmp_path: Path) -> None:
    home = Home(str(tmp_path), str(tmp_path))
    os.mkdir(home.settings)
    with pytest.raises(SettingsFault, match="cannot be read"):
        load(home)


TEXT = '''a = 1
"b c".d = 2   # two
[t]
x = """
[not.a.table]
y = 3
"""
z = [
  1, # [
  "]",
]
w = 5
[[u]]
q = 1
[t.s]
k = { a = 1 }
'''


def test_lines_of_keys_are_those_of_the_file() -> None:
    found = lines(TEXT)
    assert {".".join(path): line for path, line in found.items()} == {
        "a": 1, "b c": 2, "b c.d": 2, "t": 3, "t.x": 4, "t.z": 8, "t.w": 12, "u": 13, "u.q": 14, "t.s": 15, "t.s.k": 16,
    }  # fmt: skip
    assert line_of(found, ("t", "s", "k", "a")) == 16
    assert line_of(found, ("nowhere",)) == 0


KEYS = st.from_regex(r"[a-z]{1,6}", fullmatch=True)
TEXTS = st.text(st.characters(max_codepoint=0x7FF), max_size=20)


@given(st.dictionaries(KEYS, st.dictionaries(KEYS, st.one_of(st.integers(), TEXTS, st.booleans()))))
def test_every_written_key_is_found_at_its_line(tables: dict[str, dict[str, object]]) -> None:
    text: list[str] = []
    wanted: dict[tuple[str, ...], int] = {}
    for table, keys in tables.items():
        text.append(f"[{table}]")
        wanted[(table,)] = len(text)
        for key, value in keys.items():
            shown = json.dumps(value)
            text.append(f"{key} = {shown}")
            wanted[(table, key)] = len(text)
    whole = "\n".join(text)
    tomllib.loads(whole)
    found = lines(whole)
    assert {path: found[path] for path in wanted} == wanted


@given(st.text(max_size=300))
def test_any_text_is_settings_or_a_fault(text: str) -> None:
    try:
        parse(text.encode("utf-8", "surrogatepass"))
    except SettingsFault as fault:
        assert fault.problems
        assert str(fault)
