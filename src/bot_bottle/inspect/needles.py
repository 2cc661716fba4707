"""Every form in which one secret may come back: what to find, and what to put in its place (B38, D12, facts/dlp 4).

A form is one encoding applied to the secret (`find`) and to its placeholder (`put`), so that a reply that echoed the
secret in base64 echoes the placeholder in base64. Base64 has three alignments, because the secret may start at any
byte of a quantum; the characters at both edges hold some bits of the secret too, and `Edge` says how to mend them.
"""

import base64
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

MINIMUM = 8
"""Shorter values cannot be scrubbed: they would match ordinary text. `secret set` refuses them."""

_STANDARD = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_URL = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_PAIR = re.compile(rb"[^:\s]{1,64}:(\S{8,})\Z")
_Encode = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Edge:
    """The base64 character beside a match. mask: its bits that belong to the secret; was, now: their values."""

    alphabet: bytes
    mask: int
    was: int
    now: int

    def mend(self, char: int) -> int | None:
        """The character with the placeholder's bits, or None where this character is not the secret's neighbour."""
        index = self.alphabet.find(char)
        if index < 0 or index & self.mask != self.was:
            return None
        return self.alphabet[index & ~self.mask | self.now]


@dataclass(frozen=True, slots=True)
class Needle:
    """One form of one secret. find: exact bytes; put: their replacement; before, after: base64 neighbours."""

    secret: str
    find: bytes
    put: bytes
    before: Edge | None = None
    after: Edge | None = None

    def __repr__(self) -> str:
        return f"Needle({self.secret!r})"


def needles(name: str, value: bytes, placeholder: bytes) -> tuple[Needle, ...]:
    """All forms of one secret, each `find` once. Raises ValueError under `MINIMUM` bytes."""
    if len(value) < MINIMUM:
        raise ValueError(f"a secret of fewer than {MINIMUM} characters cannot be scrubbed")
    found: dict[bytes, Needle] = {}
    for part in _parts(value):
        for needle in _forms(name, part, placeholder):
            found.setdefault(needle.find, needle)
    return tuple(found.values())


def _parts(value: bytes) -> Iterator[bytes]:
    """The value; the password of a ``user:password`` pair; the lines of a key file, but not its public frame."""
    yield value
    pair = _PAIR.match(value)
    if pair:
        yield pair[1]
    lines = value.splitlines()
    if len(lines) > 1:
        yield from (line for line in lines if len(line) >= 16 and not line.startswith(b"-----"))


def _forms(name: str, value: bytes, placeholder: bytes) -> Iterator[Needle]:
    for encode in (*_PLAIN, *_texts(value)):
        yield Needle(name, encode(value), encode(placeholder))
    fitted = (placeholder or b"*") * (len(value) // max(1, len(placeholder)) + 1)
    for alphabet in (_STANDARD, _URL):
        for shift in range(3):
            yield from _base64(name, value, fitted[: len(value)], shift, alphabet)


def _base64(name: str, value: bytes, placeholder: bytes, shift: int, alphabet: bytes) -> Iterator[Needle]:
    """The characters that only this value decides when `shift` bytes stand before it in its quantum."""
    skip, end = (0, 2, 3)[shift], (shift + len(value)) * 8 // 6
    old, new = _encoded(value, shift, alphabet), _encoded(placeholder, shift, alphabet)
    before = _edge(alphabet, old[skip - 1], new[skip - 1], (0, 0b001111, 0b000011)[shift])
    rest = (shift + len(value)) % 3
    after = _edge(alphabet, old[end], new[end], (0, 0b110000, 0b111100)[rest]) if rest else None
    find, put = old[skip:end], new[skip:end]
    yield Needle(name, find, put, before, after)
    for plain, escaped in _IN_BASE64:
        if plain in find:
            yield Needle(name, find.replace(plain, escaped), put)
    both = find.replace(b"+", b"%2B").replace(b"/", b"%2F")
    yield Needle(name, both, put)
    yield Needle(name, both.replace(b"%2B", b"%2b").replace(b"%2F", b"%2f"), put)


def _edge(alphabet: bytes, old: int, new: int, mask: int) -> Edge | None:
    return Edge(alphabet, mask, alphabet.index(old) & mask, alphabet.index(new) & mask) if mask else None


def _encoded(value: bytes, shift: int, alphabet: bytes) -> bytes:
    """Base64 with `shift` NUL bytes in front and NUL bytes to the next quantum behind: no padding characters."""
    behind = -(shift + len(value)) % 3
    text = base64.b64encode(b"\0" * shift + value + b"\0" * behind)
    return text.translate(bytes.maketrans(_STANDARD, alphabet))


_IN_BASE64 = ((b"/", rb"\/"), (b"+", rb"\u002b"), (b"+", rb"\u002B"), (b"=", rb"\u003d"))


def _lower(encode: _Encode) -> _Encode:
    """The same with the hexadecimal digits of escapes in lower case."""
    return lambda value: re.sub(rb"%[0-9A-F]{2}|\\u[0-9A-F]{4}", lambda m: m[0].lower(), encode(value))


def _percent(safe: str) -> _Encode:
    return lambda value: quote(value, safe=safe).encode()


def _pairs(separator: str, upper: bool) -> _Encode:
    """Hexadecimal as of fingerprints and dumps."""

    def encode(value: bytes) -> bytes:
        text = value.hex(separator)
        return (text.upper() if upper else text).encode()

    return encode


_PLAIN: tuple[_Encode, ...] = (
    lambda value: value,
    lambda value: value.hex().encode(),
    lambda value: value.hex().upper().encode(),
    lambda value: b"".join(b"%%%02X" % byte for byte in value),
    lambda value: b"".join(b"%%%02x" % byte for byte in value),
    *(_pairs(separator, upper) for separator in (":", " ") for upper in (False, True)),
    *(_percent(safe) for safe in ("", "/", "!'()*", "!#$&'()*+,/:;=?@")),
    *(_lower(_percent(safe)) for safe in ("", "/", "!'()*", "!#$&'()*+,/:;=?@")),
    lambda value: quote_plus(value).encode(),
    _lower(lambda value: quote_plus(value).encode()),
)


def _texts(value: bytes) -> tuple[_Encode, ...]:
    """JSON and HTML escapes; only text has them, and a placeholder is always text."""
    try:
        value.decode()
    except UnicodeDecodeError:
        return ()
    return _TEXTS


def _json(ascii_only: bool, escape: str) -> _Encode:
    """JSON string content; `escape`: further characters that some encoders write as ``\\uXXXX``."""

    def encode(value: bytes) -> bytes:
        text = json.dumps(value.decode("utf-8", "replace"), ensure_ascii=ascii_only)[1:-1]
        return "".join(f"\\u{ord(c):04X}" if c in escape else c for c in text).encode()

    return encode


def _slashes(encode: _Encode) -> _Encode:
    return lambda value: encode(value).replace(b"/", rb"\/")


def _twice(encode: _Encode) -> _Encode:
    return lambda value: json.dumps(encode(value).decode("utf-8", "replace"), ensure_ascii=False)[1:-1].encode()


def _html(escapes: dict[str, str]) -> _Encode:
    """HTML text or attribute content. Not by the `html` module: its table of names would cost each gateway memory."""
    table = str.maketrans(escapes)
    return lambda value: value.decode("utf-8", "replace").translate(table).encode()


def _every(written: str) -> _Encode:
    """Each character by its number, as no encoder needs to write it."""
    return lambda value: "".join(written % ord(c) for c in value.decode("utf-8", "replace")).encode()


def _units(written: str) -> _Encode:
    """Each UTF-16 unit by its number, which is how JSON counts."""

    def encode(value: bytes) -> bytes:
        wide = value.decode("utf-8", "replace").encode("utf-16-be")
        return "".join(written % (wide[at] << 8 | wide[at + 1]) for at in range(0, len(wide), 2)).encode()

    return encode


def _wide(codec: str) -> _Encode:
    """Without the NUL at the edge: of ASCII both byte orders are then one form, and none hides behind the other."""
    return lambda value: value.decode("utf-8", "replace").encode(codec).strip(b"\0")


_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"}
_PLAIN_JSON = _json(False, "")
_TEXTS: tuple[_Encode, ...] = (
    _PLAIN_JSON,
    _json(True, ""),
    _slashes(_PLAIN_JSON),
    _slashes(_json(True, "")),
    *(_json(ascii_only, escape) for escape in ("<>&", "<>&='", "<>&'+`") for ascii_only in (False, True)),
    *(_lower(_json(ascii_only, escape)) for escape in ("<>&", "<>&='", "<>&'+`") for ascii_only in (False, True)),
    _twice(_PLAIN_JSON),
    _twice(_json(True, "")),
    *(_html(escapes) for escapes in (_HTML, {**_HTML, "'": "&#39;"}, {**_HTML, '"': '"', "'": "'"})),
    *(_units(written) for written in (r"\u%04x", r"\u%04X")),
    *(_every(written) for written in ("&#%d;", "&#x%x;", "&#x%X;")),
    *(_wide(codec) for codec in ("utf-16-le", "utf-16-be")),
)
