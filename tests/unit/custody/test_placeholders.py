"""Placeholders look like the vendor's format and are worth nothing."""

import hashlib
import re

import pytest

from bot_bottle.custody.placeholders import check_shape, generic, placeholder


def stream(size: int) -> bytes:
    return hashlib.shake_256(b"seed").digest(size)


@pytest.mark.parametrize(
    ("shape", "pattern"),
    [
        ("sk-ant-api03-{93}", r"sk-ant-api03-[A-Za-z0-9_-]{93}"),
        ("ghp_{36:base62}", r"ghp_[A-Za-z0-9]{36}"),
        ("{8:hex}-{4:hex}", r"[0-9a-f]{8}-[0-9a-f]{4}"),
        ("AIza{35}", r"AIza[A-Za-z0-9_-]{35}"),
    ],
)
def test_a_placeholder_has_the_shape(shape: str, pattern: str) -> None:
    assert re.fullmatch(pattern, placeholder(shape, stream))


def test_randomness_makes_the_placeholder() -> None:
    assert placeholder("sk-{40}", stream) == placeholder("sk-{40}", stream)
    assert placeholder("sk-{40}", stream) != placeholder("sk-{40}", lambda size: b"\x01" * size)


@pytest.mark.parametrize("shape", ["plain", "{}", "{93:klingon}", "a b{9}", "x{9}\n", "{9999}{9}", "{{9}}"])
def test_what_is_no_shape_is_refused(shape: str) -> None:
    with pytest.raises(ValueError, match=r"placeholder|alphabet"):
        check_shape(shape)


def test_a_secret_without_a_shape_gets_one_that_says_what_it_is() -> None:
    assert re.fullmatch(r"bot-bottle-example-[A-Za-z0-9]{24}", generic("example", stream))
