"""policy.paths: the one path that is matched and sent."""

import string
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot_bottle.policy.paths import canonical_path, loose_views

PIECES = st.sampled_from(
    ["/", "//", ".", "..", "%2e", "%2E", "%2f", "%2F", "a", "B", "~", "%41", "%7e", ";", "%3b", "%25", "%20", "@", "%40", "[",
     "%5c", "\\", "%00", "%c0%af", "%e2%82%ac", "%", "%zz", ":", "é", " ", "|"]
)  # fmt: skip
PATHS = st.lists(PIECES, max_size=12).map(lambda parts: "/" + "".join(parts)) | st.text(string.printable, max_size=30)


@pytest.mark.parametrize(
    ("raw", "canonical"),
    [
        ("/", "/"),
        ("/v1/messages", "/v1/messages"),
        ("/%76%31", "/v1"),
        ("/a/./b", "/a/b"),
        ("/a/../b", "/b"),
        ("/../../b", "/b"),
        ("/a/..", "/"),
        ("/a/.", "/a/"),
        ("//a///b//", "/a/b/"),
        ("/a/%2e%2E/b", "/b"),
        ("/@scope%2fname", "/@scope%2Fname"),
        ("/a b".replace(" ", "%20"), "/a%20b"),
        ("/100%25", "/100%25"),
        ("/a[0]|b", "/a%5B0%5D%7Cb"),
        ("/%e2%82%ac", "/%E2%82%AC"),
        ("/a;v=1/b", "/a;v=1/b"),
        ("/...", "/..."),
        ("/.well-known/x", "/.well-known/x"),
    ],
)
def test_canonical(raw: str, canonical: str) -> None:
    assert canonical_path(raw) == canonical


@pytest.mark.parametrize(
    "raw",
    ["", "a", "*", "/a?b", "/a#b", "/a b", "/a\\b", "/a%5cb", "/%00", "/%0d%0a", "/%7f", "/é", "/%", "/%4", "/%zz", "/%252e", "/%2525",
     "/%25%32%65", "/a/..%2fb", "/a%2f..", "/a%2f%2e%2e%2fb", "/a/%2fb", "/a%2f", "/a/..;/b", "/.;x/b", "/..%3b/b",
     "/%c0%ae%c0%ae/", "/%ff", "/\u2024/", "/;/a", "/a/;x"],
)  # fmt: skip
def test_refused(raw: str) -> None:
    with pytest.raises(ValueError, match=r"^a path "):
        canonical_path(raw)


@given(PATHS)
@example("/a/..//%2e/b")
@example("/%2%35e")
@example("/%20/")
@example("/%20/%20/a")
def test_idempotent_and_unambiguous(raw: str) -> None:
    try:
        path = canonical_path(raw)
    except ValueError:
        return
    assert canonical_path(path) == path
    assert path.startswith("/") and path.isascii() and path.isprintable() and " " not in path
    once = unquote(path)
    for reading in (path, once, *loose_views(path)):
        segments = reading.split("/")
        assert not {".", ".."} & set(segments), reading
        assert "" not in segments[1:-1], reading
    assert unquote(once) == once or "%25" in path
    assert "%25" not in path or not any(path[i : i + 3] == "%25" and path[i + 3 : i + 5].isalnum() and all(
        c in string.hexdigits for c in path[i + 3 : i + 5]) and len(path[i + 3 : i + 5]) == 2 for i in range(len(path)))  # fmt: skip


@given(PATHS)
def test_a_decoded_spelling_never_changes_its_meaning(raw: str) -> None:
    """Encoding any unreserved character of a canonical path gives the same canonical path."""
    try:
        path = canonical_path(raw)
    except ValueError:
        return
    respelled = "".join(f"%{ord(c):02x}" if c in string.ascii_letters and "%" not in path else c for c in path)
    assert canonical_path(respelled) == path


def test_lenient_readings_for_deny_rules() -> None:
    assert loose_views("/a/b") == ("/a/b",)
    assert loose_views("/A/b/") == ("/a/b/", "/a/b")
    assert loose_views("/a%2FB;x=1/c") == ("/a%2fb;x=1/c", "/a/b;x=1/c", "/a/b/c")
    assert loose_views("/") == ("/",)
