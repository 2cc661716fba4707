"""Splits a Markdown manifest into its YAML block and its body; the splitter is ours, so that it cannot surprise."""

import msgspec

MAX_BYTES = 256 * 1024
_FENCE = "---"


class Document(msgspec.Struct, frozen=True):
    """head: YAML text of the block. line: file line of its first line, 1-based. body: Markdown after the block."""

    head: str
    body: str
    line: int = 2


class NotAManifest(ValueError):
    """The text is no manifest; `line` says where (D21: 256 KB at most)."""

    def __init__(self, reason: str, line: int = 1) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line


def split(raw: bytes) -> Document:
    """A file of ``---``, YAML, ``---``, Markdown. A file without a first fence is all body. Raises NotAManifest."""
    if len(raw) > MAX_BYTES:
        raise NotAManifest(f"the file is larger than {MAX_BYTES // 1024} KB")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotAManifest("the file is not UTF-8 text", raw[: error.start].count(b"\n") + 1) from None
    if "\0" in text:
        raise NotAManifest("the file holds a NUL byte", text.partition("\0")[0].count("\n") + 1)
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    if lines[0].rstrip() != _FENCE:
        return Document("", "\n".join(lines), 1)
    for number, line in enumerate(lines[1:], 1):
        if line.rstrip() == _FENCE:
            return Document("\n".join(lines[1:number]), "\n".join(lines[number + 1 :]).strip("\n"))
    raise NotAManifest("the front matter has no closing --- line")
