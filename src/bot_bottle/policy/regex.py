"""Regular expressions of manifests: google-re2 only, so that no expression of anybody takes more than linear time."""

from importlib import import_module
from typing import Any, Protocol

_MAX_MEM = 1 << 20
_MAX_TEXT = 4096


class Pattern(Protocol):
    """What a compiled expression offers here."""

    def fullmatch(self, text: bytes) -> object | None: ...


def compile_regex(text: str) -> Pattern:
    """An expression that is asked for a full match on UTF-8 bytes. Raises ValueError with re2's reason."""
    if len(text) > _MAX_TEXT:
        raise ValueError(f"a regular expression is longer than {_MAX_TEXT} characters")
    re2: Any = import_module("re2")  # lazily: most policies have no expression, and the gateway stays small
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.max_mem = _MAX_MEM
    try:
        return re2.compile(text.encode(), options)
    except re2.error as error:
        reason = b"".join(error.args[:1]).decode("utf-8", "replace")
        raise ValueError(f"google-re2 refuses the expression: {reason}") from None
