"""Lines of the live list and of `supervise --once`: what one ask says in a row, its keys and their help. Pure."""

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from bot_bottle.base.text import cut
from bot_bottle.supervise.expiry import SECOND
from bot_bottle.supervise.model import Ask, AskState, Scope
from bot_bottle.supervise.sentence import request_line, state_words

HELP = (
    ("a", "allow, as far as the scope says"), ("d", "deny"), ("j k", "next, previous"),
    ("enter", "all of it, or the list again"), ("m", "what was missed"), ("?", "these keys"),
    ("q", "leave; asks go on waiting"),
)  # fmt: skip
_LINE = 72
_SENTENCE, _BESIDE = 110, 45
"""Characters of a sentence, mostly, and columns of the list that stand before it."""


def asked_line(ask: Ask) -> str:
    """The request itself, for a row of a list: no two that differ look alike, as what is cut bears a digest (D18)."""
    line = request_line(ask.wanted)
    return line if len(line) <= _LINE else cut(line, _LINE - 18)


def rows_of_one(columns: int) -> int:
    """Rows of the window that one ask takes."""
    width = max(20, columns - _BESIDE)
    return -(-_SENTENCE // width) - (-_LINE // width)


def left(ask: Ask, now: int) -> str:
    """``4:31``: until silence is a no; or how it ended."""
    if ask.state is not AskState.WAITING:
        return state_words(ask)
    seconds = max(0, (ask.deadline - now) // SECOND)
    return f"{seconds // 60}:{seconds % 60:02d} left"


def keys_line(scopes: tuple[Scope, ...]) -> Text:
    scope = f"{_digits(scopes)} scope  " if len(scopes) > 1 else ""
    return Text(f"a allow  d deny  j/k move  {scope}enter detail  m missed  ? keys  q leave", style="dim")


def help_table(scopes: tuple[Scope, ...]) -> RenderableType:
    table = Table(box=None, show_header=False, padding=(0, 2))
    rows = list(HELP)
    if scopes:
        names = ", ".join(scopes) + (", and no wider for this one" if len(scopes) == 1 else "")
        rows.insert(3, (_digits(scopes), f"scope: {names}"))
    for key, what in rows:
        table.add_row(Text(key, style="bold"), what)
    return table


def _digits(scopes: tuple[Scope, ...]) -> str:
    """``1 2 5``: the keys that choose these."""
    return " ".join(str(list(Scope).index(one) + 1) for one in scopes)
