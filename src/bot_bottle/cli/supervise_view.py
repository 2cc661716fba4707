"""The live list as a value: what is selected, what a key does, what is shown. No terminal, no clock, no store here.

All text of a bottle went through `supervise.sentence`, and is put into `Text` and never into markup (B73).
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from rich.console import Group, RenderableType
from rich.layout import Layout
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from bot_bottle.base.text import cut, visible
from bot_bottle.cli.supervise_lines import asked_line, help_table, keys_line, left, rows_of_one
from bot_bottle.keeper.messages.approvals import AskShown, LeafProposed
from bot_bottle.supervise.cards import in_turn
from bot_bottle.supervise.expiry import LATE
from bot_bottle.supervise.model import Ask, Scope
from bot_bottle.supervise.risk import WORDS, risk
from bot_bottle.supervise.sentence import consequences, quoted, request_line, sentence, state_words

_SHOWN = 4000
_LINES = 30
_NAMED = 5


@dataclass(slots=True)
class Facts:
    """What is known of the selected ask besides itself, once its keeper was asked. scopes: that a yes may have. last:
    requests of its run, one line each, the newest first. also: what the rule of a lasting yes would have let through.
    """

    scopes: tuple[Scope, ...] = (Scope.ONCE,)
    shown: AskShown | None = None
    last: tuple[str, ...] = ()
    also: str = ""


@dataclass(slots=True)
class Deeds:
    """What the view asks for. Each may raise BottleError; `answer` (ask, allow, scope, digest of the rule that was
    shown, whether it was shown that nobody waits any more) says in a few words what came of it. scopes: that
    a yes may have, without asking its keeper: for every picture."""

    answer: Callable[[Ask, bool, Scope, str, bool], str]
    facts: Callable[[Ask], Facts]
    propose: Callable[[Ask], LeafProposed]
    scopes: Callable[[Ask], tuple[Scope, ...]]


@dataclass(slots=True)
class View:
    """mode: list | detail | help | rule (the diff of `always` waits for y) | late (what a late yes permits waits for
    y). shown: id of the selected ask. said: the
    last line. answered: by us. new: hosts that no bottle reached before, None while that is not known."""

    deeds: Deeds
    asks: list[Ask] = field(default_factory=list[Ask])
    at: int = 0
    shown: str = ""
    scope: Scope = Scope.ONCE
    mode: str = "list"
    missed: bool = False
    said: str = ""
    over: bool = False
    facts: Facts = field(default_factory=Facts)
    proposed: LeafProposed | None = None
    answered: set[str] = field(default_factory=set[str])
    new: set[str] | None = None

    @property
    def selected(self) -> Ask | None:
        return self.asks[self.at] if self.at < len(self.asks) else None

    def update(self, asks: list[Ask]) -> None:
        """A new list: the selection stays with its ask, so that no key ever answers another one. One of each bottle
        first, so that none pushes another's below the window (B74)."""
        before = self.selected
        self.asks = asks = in_turn(asks, lambda ask: ask.run)
        if before is None:
            self._select(0)
            return
        at = next((n for n, one in enumerate(asks) if one.id == before.id), -1)
        if at >= 0:
            self.at = at
            return
        if self.mode in ("detail", "rule", "late"):
            self.mode = "list"
            self.said = self.said if before.id in self.answered else f"{before.id} was settled meanwhile."
        self._select(min(self.at, max(0, len(asks) - 1)))

    def press(self, key: str) -> None:
        """One key."""
        if self.mode in ("rule", "late"):
            self._confirmed(key)
            return
        match key:
            case "q" | "\x03" | "\x04":
                self.over = True
            case "?":
                self.mode = "list" if self.mode == "help" else "help"
            case "j" | "down":
                self._select(min(self.at + 1, max(0, len(self.asks) - 1)))
            case "k" | "up":
                self._select(max(0, self.at - 1))
            case "m":
                self.missed, self.at, self.asks = not self.missed, 0, []
            case "enter":
                self._detail()
            case "a" | "d":
                self._answer(key == "a")
            case "1" | "2" | "3" | "4" | "5":
                self._choose(tuple(Scope)[int(key) - 1])
            case "escape":
                self.mode = "list"
            case _:
                pass

    def _select(self, at: int) -> None:
        self.at = at
        ident = self.selected.id if self.selected else ""
        if ident != self.shown:  # a scope was chosen for one ask, whatever takes its place
            self.shown, self.scope = ident, Scope.ONCE
        self.facts = Facts()
        if self.selected is None:
            self.mode = "list" if self.mode == "detail" else self.mode
        elif self.mode == "detail":
            self._look()

    def _look(self) -> None:
        if self.selected is not None:
            self._try(lambda ask: setattr(self, "facts", self.deeds.facts(ask)))

    def _detail(self) -> None:
        self.mode = "list" if self.mode == "detail" or self.selected is None else "detail"
        if self.mode == "detail":
            self._look()

    def _choose(self, scope: Scope) -> None:
        self._look()
        if scope in self.facts.scopes:
            self.scope, self.said = scope, f"Scope {scope.value}."
        else:
            self.said = f"A yes to this cannot be for {scope.value}."

    def _answer(self, allow: bool) -> None:
        if allow and self.scope is Scope.ALWAYS:
            self._try(lambda ask: setattr(self, "proposed", self.deeds.propose(ask)))
            self.mode = "rule" if self.proposed is not None else self.mode
            return
        if allow and self.selected is not None and self.selected.state in LATE:
            self.mode = "late"
            return
        self._try(lambda ask: self._say(ask, self.deeds.answer(ask, allow, self.scope, "", False)))

    def _confirmed(self, key: str) -> None:
        proposed, self.proposed, late, self.mode = self.proposed, None, self.mode == "late", "list"
        if key == "y" and late:
            self._try(lambda ask: self._say(ask, self.deeds.answer(ask, True, Scope.ONCE, "", True)))
        elif key == "y" and proposed is not None:
            self._try(lambda ask: self._say(ask, self.deeds.answer(ask, True, Scope.ALWAYS, proposed.before, False)))
        else:
            self.said = "Nothing was allowed." if late else "Nothing was written."

    def _say(self, ask: Ask, what: str) -> None:
        self.said = what
        self.answered.add(ask.id)

    def _try(self, deed: Callable[[Ask], None]) -> None:
        """What goes wrong is said, and nothing else happens."""
        from bot_bottle.base.errors import BottleError

        if self.selected is None:
            return
        try:
            deed(self.selected)
        except BottleError as error:
            self.said = str(error)

    # ---- what is shown

    def render(self, now: int, rows: int, columns: int = 80) -> RenderableType:
        """The whole screen. now: wall ns. rows, columns: of the window."""
        body: RenderableType
        match self.mode:
            case "help":
                body = help_table(self._scopes())
            case "rule":
                body = self._proposal()
            case "late":
                body = self._late()
            case "detail":
                body = self._whole(now, rows)
            case _:
                body = self._list(now, rows, columns)
        screen = Layout()
        screen.split_column(
            Layout(Text(self._title(), style="bold"), size=2),
            Layout(body),
            Layout(Group(Text(self.said, style="italic"), keys_line(self._scopes())), size=3),
        )
        return screen

    def _scopes(self) -> tuple[Scope, ...]:
        """What the keys of scopes may choose now."""
        if self.selected is None:
            return ()
        return self.facts.scopes if self.facts.shown is not None else self.deeds.scopes(self.selected)

    def _title(self) -> str:
        what = "missed" if self.missed else "waiting"
        unknown = "; which hosts are new is not known yet" if self.asks and self.new is None else ""
        return f"bot-bottle supervise: {len(self.asks)} {what}{unknown}"

    def _list(self, now: int, rows: int, columns: int) -> RenderableType:
        if not self.asks:
            return Text("Nothing was missed." if self.missed else "Nothing waits for an answer.", style="dim")
        table = Table(box=None, show_header=False, padding=(0, 1), expand=True)
        for _ in range(3):
            table.add_column()
        table.add_column(ratio=1)
        most = max(1, (rows - 8) // rows_of_one(columns))
        first = max(0, min(self.at - most // 2, len(self.asks) - most))
        beyond = Counter(ask.label for ask in (*self.asks[:first], *self.asks[first + most :]))
        for number in range(first, min(first + most, len(self.asks))):
            ask = self.asks[number]
            mark = ">" if number == self.at else " "
            level = self._level(ask)
            style = "reverse" if number == self.at else ""
            words = Text(f"{self._sentence(ask)}\n{asked_line(ask)}", overflow="fold")
            table.add_row(f"{mark} {ask.id}", left(ask, now), level, words, style=style)
        names = ", ".join(f"{visible(label, 64)} {number}" for label, number in beyond.most_common(_NAMED))
        more = f"{beyond.total()} more with j and k: {names}" if beyond else ""
        return Group(table, Text(more, style="dim"))

    def _sentence(self, ask: Ask) -> str:
        return sentence(ask, ask.wanted.target.host in (self.new or ()))

    def _level(self, ask: Ask) -> str:
        return WORDS[risk(ask.wanted, ask.wanted.target.host in (self.new or ()))]

    def _whole(self, now: int, rows: int) -> RenderableType:
        ask = self.selected
        assert ask is not None
        lines = Text()
        for name, value in self._facts(ask, now):
            lines.append(f"{name:<9}", style="dim")
            lines.append(f"{value}\n")
        lines.append("scope     ", style="dim")
        for scope in self.facts.scopes:
            lines.append(
                f" {list(Scope).index(scope) + 1} {scope.value} ", style="reverse" if scope is self.scope else ""
            )
        for one in consequences(ask, (self.scope,)):
            lines.append("\na yes     ", style="dim")
            lines.append(f"{one.permits} {one.until}")
        held = self._held(max(3, rows - 20 - len(self.facts.last)))
        says = (
            Text(f"it says   \u201c{cut(quoted(ask), 400)}\u201d (unchecked)", style="italic") if ask.says else Text()
        )
        return Group(Text(self._sentence(ask), style="bold"), Text(), lines, *([held] if held else []), says)

    def _facts(self, ask: Ask, now: int) -> list[tuple[str, str]]:
        wanted = ask.wanted
        facts = [
            ("ask", f"{ask.id}, {left(ask, now)}"), ("request", request_line(wanted)),
            ("risk", self._level(ask)), ("why", f"{visible(ask.rule, 200)}: {visible(ask.hint, 300)}"),
            ("bottle", f"{ask.label} ({ask.bottle}, {ask.agent})"), ("project", visible(ask.project, 200)),
            ("headers", visible(" ".join(wanted.headers), 400)), ("secrets", visible(" ".join(wanted.secrets), 200)),
            ("before", "\n         ".join(self.facts.last)), ("rule", self.facts.also),
        ]  # fmt: skip
        return [(name, value) for name, value in facts if value]

    def _held(self, lines: int) -> RenderableType | None:
        shown = self.facts.shown
        if shown is None or not shown.held:
            return None
        raw = shown.head + shown.body[:_SHOWN]
        text = [visible(line.rstrip("\r"), 300) for line in raw.decode("utf-8", "replace").split("\n")]
        more = [] if len(text) <= lines and shown.size <= _SHOWN else [f"… {shown.size} bytes of body in all"]
        return Panel(Text("\n".join([*text[:lines], *more])), title="exactly what is held", title_align="left")

    def _late(self) -> RenderableType:
        ask = self.selected
        assert ask is not None
        (meant,) = consequences(ask, (Scope.ONCE,))
        return Group(
            Text(self._sentence(ask), style="bold"), Text(), Text(state_words(ask)), Text(request_line(ask.wanted)),
            Text(), Text(f"{meant.permits} {meant.until}"), Text(),
            Text("y permits it; any other key does nothing.", style="bold"),
        )  # fmt: skip

    def _proposal(self) -> RenderableType:
        assert self.proposed is not None
        diff = Text()
        for line in self.proposed.diff.splitlines()[:_LINES]:
            style = {"+": "green", "-": "red"}.get(line[:1], "dim")
            diff.append(visible(line, 300) + "\n", style=style)
        also = f"Also holds for: {visible(', '.join(self.proposed.also), 300)}.\n" if self.proposed.also else ""
        return Group(
            Text(f"This rule is written to {visible(self.proposed.path, 300)}:"), Text(), diff, Text(also),
            Text("y writes it and lets the request go; any other key does nothing.", style="bold"),
        )  # fmt: skip
