"""Fills the templates of a harness file. Pure: text and values in, text out."""

import json
import re
from collections.abc import Iterable, Mapping

_PLACE = re.compile(r"\{([a-z0-9_]+)(?::([a-z0-9_-]+))?\}")


def fill(text: str, values: Mapping[str, str], placeholders: Mapping[str, str]) -> str:
    """`text` with its template words replaced; words that are not known stay as they are."""

    def replacement(match: re.Match[str]) -> str:
        word, name = match[1], match[2]
        if name is None:
            return values.get(word, match[0])
        if word == "placeholder":
            return placeholders.get(name, match[0])
        if word == "placeholder_tail20":
            return placeholders[name][-20:] if name in placeholders else match[0]
        if word == "json" and name in values:
            return json.dumps(values[name], ensure_ascii=False)
        return match[0]

    return _PLACE.sub(replacement, text)


def splice(argv: Iterable[str], parts: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """argv with every element that is exactly ``{word}`` of `parts` replaced by that list, which may be empty."""
    out: list[str] = []
    for element in argv:
        word = element[1:-1] if element.startswith("{") and element.endswith("}") else ""
        if word in parts:
            out.extend(parts[word])
        else:
            out.append(element)
    return tuple(out)
