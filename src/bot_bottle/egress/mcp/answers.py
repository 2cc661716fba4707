"""The result of a tool, and how it is written for a model and for a shell. Pure."""

from dataclasses import dataclass, field
from typing import cast

import msgspec

from bot_bottle.base.text import visible
from bot_bottle.policy.hosts import bracketed
from bot_bottle.policy.verdict import Target

PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Result:
    """state: one word. message: a sentence for the model. data: members beside them. error: nothing was done."""

    state: str
    message: str
    data: dict[str, object] = field(default_factory=dict[str, object])
    error: bool = False

    def content(self) -> dict[str, object]:
        """A result of ``tools/call``."""
        value: dict[str, object] = {"state": self.state, "message": self.message, **self.data}
        text = msgspec.json.encode(value).decode()
        return {"content": [{"type": "text", "text": text}], "structuredContent": value, "isError": self.error}

    def text(self) -> str:
        """For a shell: the state alone on the first line, then the sentence, then the members."""
        lines = [self.state, self.message]
        for name, value in self.data.items():
            if isinstance(value, list):
                lines += [_line(item) for item in cast("list[object]", value)]
            elif value not in ("", None):
                lines.append(f"{name}: {_line(value)}")
        return "\n".join(lines) + "\n"


def refused(message: str) -> Result:
    """The call was wrong; the model sees why and can call again."""
    return Result("error", message, error=True)


def url_text(target: Target, path: str) -> str:
    """A URL, without the port where it is the scheme's own."""
    port = "" if target.port == PORTS.get(target.scheme) else f":{target.port}"
    return visible(f"{target.scheme}://{bracketed(target.host)}{port}{path}", 512)


def _line(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
