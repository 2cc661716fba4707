"""What can be a secret."""

import pytest

from bot_bottle.base.errors import UsageFault
from bot_bottle.base.secret import Secret
from bot_bottle.custody.check import acceptable, weakness


def test_the_last_line_end_is_not_part_of_a_secret() -> None:
    assert acceptable("example", b"sk-example-0123456789\r\n") == Secret("example", b"sk-example-0123456789")


@pytest.mark.parametrize("value", [b"", b"\n", b"1234567", b"12345678\0"])
def test_what_cannot_be_kept_safe_is_refused_without_showing_it(value: bytes) -> None:
    with pytest.raises(UsageFault) as fault:
        acceptable("example", value)
    assert "1234567" not in str(fault.value)


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (b"short-key", "fewer"),
        (b"x" * 30, "few different"),
        (b"two\nlines-0123456789", "several"),
        (b" " + b"abcdefgh" * 3, "white"),
    ],
)
def test_a_weak_secret_is_warned_about(value: bytes, word: str) -> None:
    assert word in weakness(Secret("example", value))
    assert weakness(Secret("example", b"sk-example-0123456789")) == ""
