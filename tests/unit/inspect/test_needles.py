"""Every form of a secret is a needle, and its replacement is the same form of the placeholder."""

import base64
import html
import json
import re
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_bottle.inspect.needles import MINIMUM, needles

SECRET = b"sk-ant-api03-" + b"Ab3" * 31
PLACEHOLDER = b"sk-ant-api03-" + b"PPP" * 31
ODD = b"p&ss\"w/rd<+=>\\'1\xc3\xa9"


def table(value: bytes, placeholder: bytes = PLACEHOLDER) -> dict[bytes, bytes]:
    return {needle.find: needle.put for needle in needles("example", value, placeholder)}


@pytest.mark.parametrize("value", [SECRET, ODD])
def test_forms_that_servers_write_are_needles(value: bytes) -> None:
    text = value.decode()
    written = {
        "plain": value,
        "hex": value.hex().encode(),
        "HEX": value.hex().upper().encode(),
        "percent": quote(value, safe="").encode(),
        "percent, slash kept": quote(value).encode(),
        "form": quote_plus(value).encode(),
        "percent, lower case": re.sub("%..", lambda m: m[0].lower(), quote(value, safe="")).encode(),
        "json": json.dumps(text)[1:-1].encode(),
        "json, utf-8": json.dumps(text, ensure_ascii=False)[1:-1].encode(),
        "json, php": json.dumps(text)[1:-1].replace("/", "\\/").encode(),
        "json, go": json.dumps(text)[1:-1]
        .replace("&", "\\u0026")
        .replace("<", "\\u003c")
        .replace(">", "\\u003e")
        .encode(),
        "json in json": json.dumps(json.dumps(text))[3:-3].encode(),
        "html": html.escape(text).encode(),
        "every character json": "".join(f"\\u{ord(c):04x}" for c in text).encode(),
        "every character JSON": "".join(f"\\u{ord(c):04X}" for c in text).encode(),
        "every character html": "".join(f"&#{ord(c)};" for c in text).encode(),
        "every character html, hex": "".join(f"&#x{ord(c):x};" for c in text).encode(),
        "every character html, HEX": "".join(f"&#x{ord(c):X};" for c in text).encode(),
        "every byte PERCENT": "".join(f"%{byte:02X}" for byte in value).encode(),
        "fingerprint": value.hex(":").encode(),
        "FINGERPRINT": value.hex(":").upper().encode(),
        "dump": value.hex(" ").encode(),
        "DUMP": value.hex(" ").upper().encode(),
        "utf-16": text.encode("utf-16-le").strip(b"\0"),
        "utf-16, big": text.encode("utf-16-be").strip(b"\0"),
        "every byte percent": "".join(f"%{byte:02x}" for byte in value).encode(),
    }
    found = table(value)
    assert [name for name, form in written.items() if form not in found] == []


@given(st.binary(min_size=0, max_size=5), st.binary(min_size=MINIMUM, max_size=60), st.binary(min_size=0, max_size=5))
def test_base64_of_a_text_around_the_secret_holds_a_needle(before: bytes, value: bytes, after: bytes) -> None:
    finds = table(value, b"x" * len(value))
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        encoded = encode(before + value + after)
        assert any(find in encoded for find in finds)


@given(st.binary(min_size=MINIMUM, max_size=60), st.integers(0, 2))
def test_a_replaced_base64_text_decodes_to_the_placeholder(value: bytes, shift: int) -> None:
    placeholder = bytes(byte ^ 0x55 for byte in value)
    encoded = base64.b64encode(b"\xff" * shift + value + b"\xff" * 3)
    for needle in needles("example", value, placeholder):
        if needle.find in encoded and len(needle.put) == len(needle.find):
            start = encoded.index(needle.find)
            raw = bytearray(encoded.replace(needle.find, needle.put, 1))
            for edge, at in ((needle.before, start - 1), (needle.after, start + len(needle.find))):
                if edge is not None and (mended := edge.mend(raw[at])) is not None:
                    raw[at] = mended
            if placeholder in base64.b64decode(bytes(raw)):
                return
    raise AssertionError("no needle turns it into the placeholder")


def test_equal_lengths_keep_the_length_of_every_form() -> None:
    assert all(len(find) == len(put) for find, put in table(SECRET).items())


def test_a_pair_and_a_key_file_have_needles_for_their_parts() -> None:
    assert b"hunter22hunter22" in table(b"deploy:hunter22hunter22")
    key = b"-----BEGIN KEY-----\nMIIEpAIBAAKCAQEAq\nZZZZYYYYXXXXWWWWV\n-----END KEY-----\n"
    found = table(key)
    assert b"ZZZZYYYYXXXXWWWWV" in found
    assert b"-----BEGIN KEY-----" not in found


def test_a_short_value_is_refused_and_a_needle_shows_nothing() -> None:
    with pytest.raises(ValueError, match="fewer than 8"):
        needles("example", b"1234567", b"x")
    assert "Ab3" not in repr(needles("example", SECRET, PLACEHOLDER))
