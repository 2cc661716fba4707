"""What was reached: sums over groups and hours, by host, path, rule and time. All counts, no lines."""

# ruff: noqa: S608 - statements are fixed texts and numbers of ours; every value is bound

import sqlite3
from collections.abc import Iterable, Mapping

import msgspec

from bot_bottle.audit.filters import DIMENSIONS, Filter, Term, exactly
from bot_bottle.audit.index_counts import Bucket, FirstSeen, Reached, RuleUse, RunRow
from bot_bottle.audit.index_match import Plan, plan
from bot_bottle.audit.index_reached import ALLOWED, REACHED, reached, reached_before
from bot_bottle.audit.index_rows import KIND_NUMBERS
from bot_bottle.audit.index_schema import HOUR, MOST
from bot_bottle.audit.record import Kind
from bot_bottle.policy.hosts import INSIDE

_REQUESTS = (KIND_NUMBERS[Kind.INTENT], KIND_NUMBERS[Kind.DENIED])
_ASK = KIND_NUMBERS[Kind.ASK]
_WITHIN = (f"max(s.first, h.hour * {HOUR})", f"min(s.last, (h.hour + 1) * {HOUR} - 1)")
_FOREIGN = f"h.host NOT IN ('', '{INSIDE}') AND h.host NOT LIKE '%.{INSIDE}'"
_FINE = 100_000
"""Records up to which a timeline is counted one by one; beyond, by the hour."""


class Reach:
    """Sums of one index connection."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def hosts(self, wanted: Filter, now: int) -> list[Reached]:
        """What a filter's requests reached, the most requests first. Lines are not looked at. Names that were only
        looked up do not count: nothing left for them."""
        return self._grouped(wanted, now, "host")

    def paths(self, wanted: Filter, now: int) -> list[Reached]:
        """The same by path pattern; the filter names the host."""
        return self._grouped(wanted, now, "path")

    def _grouped(self, wanted: Filter, now: int, by: str) -> list[Reached]:
        made = plan(self._database, wanted, now)
        source, columns, values = _source(made, by)
        groups = f"{'s.host' if by == 'host' else 'p.path'}, s.method, s.verdict, s.secrets, s.rule"
        query = f"SELECT {groups}, {columns} FROM {source} GROUP BY {groups}"
        rows = self._database.execute(query, values).fetchall()
        names = self._names({number for row in rows for number in row[1:5]})
        firsts = self._hosts({row[0] for row in rows}) if by == "host" else self._names({row[0] for row in rows})
        found: dict[int, Reached] = {}
        got = self._reached(wanted, now) if by == "host" else None
        for row in rows:
            one = found.get(row[0])
            if one is None:
                one = found[row[0]] = Reached(firsts[row[0]], reached=None if got is None else row[0] in got)
            _add(one, row, names)
        kept = (one for one in found.values() if one.name or by != "host")
        return sorted(kept, key=lambda one: (-one.requests - one.asks, one.name))

    def _reached(self, wanted: Filter, now: int) -> set[int]:
        """Intent and outcome of a request have the same fields but the reason."""
        return reached(self._database, plan(self._database, wanted.without("reason"), now), self._number("allow"))

    def timeline(self, wanted: Filter, now: int, start: int, end: int, count: int) -> list[Bucket]:
        """`count` equal spans from start to end, wall ns, with the decisions in each; where there are many records no
        finer than by the hour."""
        if end <= start:
            return []
        rows = self._spans(plan(self._database, wanted, now), start, end, max(1, -(-(end - start) // count)), "0")
        return self._buckets(
            ((at, verdict, requests, asks) for _, at, verdict, requests, asks in rows), start, end, count
        )

    def timelines(
        self, wanted: Filter, now: int, start: int, end: int, count: int, hosts: Iterable[str]
    ) -> dict[str, list[Bucket]]:
        """One for each of these hosts, together."""
        names = list(hosts)
        if end <= start or not names:
            return {}
        made = plan(self._database, Filter((*wanted.terms, Term("host", tuple(map(exactly, names))))), now)
        rows = self._spans(made, start, end, max(1, -(-(end - start) // count)), "s.host")
        found: dict[int, list[tuple[int, int, int, int]]] = {}
        for host, at, verdict, requests, asks in rows:
            found.setdefault(host, []).append((at, verdict, requests, asks))
        texts = self._hosts(set(found))
        return {texts[host]: self._buckets(some, start, end, count) for host, some in found.items()}

    def _buckets(self, rows: Iterable[tuple[int, int, int, int]], start: int, end: int, count: int) -> list[Bucket]:
        step, verdicts = max(1, -(-(end - start) // count)), self._verdicts()
        buckets = [Bucket(start + number * step) for number in range(count)]
        for at, verdict, requests, asks in rows:
            bucket = buckets[min(max(0, (at - start) // step), count - 1)]
            _count(bucket, verdicts.get(verdict, ""), requests, asks)
        return buckets

    def _spans(self, made: Plan, start: int, end: int, step: int, by: str) -> list[tuple[int, int, int, int, int]]:
        """(by, wall ns, verdict, requests, asks)."""
        where = f"{made.where or '1'} AND s.last >= ? AND s.first <= ? AND (s.requests OR s.asks)"
        values = [*made.values, start, end]
        (total,) = self._database.execute(f"SELECT sum(records) FROM groups s WHERE {where}", values).fetchone()
        if (total or 0) > _FINE or step >= HOUR:
            query = (
                f"SELECT {by}, h.hour, s.verdict, sum(h.requests), sum(h.asks) FROM groups s"
                f" JOIN hours h ON h.grp = s.id WHERE {where} AND h.hour >= ? AND h.hour <= ? GROUP BY 1, 2, 3"
            )
            rows = self._database.execute(query, [*values, start // HOUR, end // HOUR])
            return [(one, hour * HOUR, verdict, requests, asks) for one, hour, verdict, requests, asks in rows]
        query = (
            f"SELECT {by}, (r.time - ?) / ?, s.verdict, sum(r.kind IN {_REQUESTS}), sum(r.kind = {_ASK})"
            " FROM groups s JOIN records r INDEXED BY records_grp ON r.grp = s.id"
            f" WHERE {where} AND r.time >= ? AND r.time <= ? GROUP BY 1, 2, 3"
        )
        rows = self._database.execute(query, [start, step, *values, start, end])
        return [(one, start + at * step, verdict, requests, asks) for one, at, verdict, requests, asks in rows]

    def first_seen(self, since: int, limit: int, before: tuple[int, str] | None = None) -> list[FirstSeen]:
        """Hosts that the logs named for the first time since then, newest first; a bottle's own name is none. before:
        first and host of the last one of the page before."""
        at, name = before or (MOST, "")
        query = (
            f"SELECT h.host, h.first, h.last, r.run, r.label, sum(s.requests), {ALLOWED}, {REACHED}"
            " FROM hosts h JOIN runs r ON r.id = h.run JOIN groups s ON s.host = h.id"
            f" WHERE {_FOREIGN} AND h.first >= ? AND (h.first, h.host) < (?, ?)"
            " GROUP BY h.id ORDER BY h.first DESC, h.host DESC LIMIT ?"
        )
        allow = self._number("allow")
        rows = self._database.execute(query, (allow, allow, since, at, name, limit))
        return [FirstSeen(a, b, c, d, e, f, g, bool(h)) for a, b, c, d, e, f, g, h in rows]

    def host_first(self, hosts: Iterable[str]) -> dict[str, tuple[int, str]]:
        """host -> (when the logs named it first, in which run)."""
        query = (
            "SELECT h.host, h.first, r.run FROM hosts h JOIN runs r ON r.id = h.run"
            " WHERE h.host IN (SELECT value FROM json_each(?))"
        )
        wanted = msgspec.json.encode(list(hosts)).decode()
        return {host: (first, run) for host, first, run in self._database.execute(query, (wanted,))}

    def reached_before(self, times: Mapping[str, int]) -> set[str]:
        """Those of these hosts that were reached before their time, wall ns."""
        return reached_before(self._database, times, self._number("allow"))

    def rules(self, wanted: Filter, now: int, since: int) -> dict[str, RuleUse]:
        """How often each rule decided, for the bottles of the filter."""
        made = plan(self._database, wanted, now)
        where = made.where or "1"
        query = (
            f"SELECT rule, sum(requests + asks), max(last) FROM groups s WHERE {where}"
            " AND (requests OR asks) GROUP BY rule"
        )
        ever = self._database.execute(query, made.values).fetchall()
        query = (
            "SELECT s.rule, sum(h.requests + h.asks) FROM groups s JOIN hours h ON h.grp = s.id"
            f" WHERE {where} AND s.last >= ? AND h.hour >= ? GROUP BY s.rule"
        )
        lately = dict(self._database.execute(query, [*made.values, since, since // HOUR]).fetchall())
        names = self._names({row[0] for row in ever})
        found = (RuleUse(names[rule], lately.get(rule, 0), total, last) for rule, total, last in ever)
        return {one.rule: one for one in found if one.rule}

    def runs(self, wanted: Filter, now: int, limit: int, before: tuple[int, str] | None = None) -> list[RunRow]:
        """Runs by the run's own fields, the one with the newest record first. before: time of its newest record and
        id of the run after which this page begins."""
        where, values = "run != 'host'", list[object]()
        made = plan(self._database, Filter(wanted.of(*DIMENSIONS)), now)
        if made.where:
            where += f" AND id IN (SELECT run FROM (SELECT id AS run FROM runs) s WHERE {made.where})"
            values += made.values
        if before is not None:
            where += " AND (last, run) < (?, ?)"
            values += before
        rows = self._database.execute(
            "SELECT run, bottle, agent, harness, label, project, person, first, last, records, ended,"
            f" purged > 0 AND records = 0 FROM runs WHERE {where} ORDER BY last DESC, run DESC LIMIT ?",
            [*values, limit],
        )
        return [RunRow(a, b, c, d, e, f, g, h, i, j, bool(k), bool(m)) for a, b, c, d, e, f, g, h, i, j, k, m in rows]

    def subjects(self, field: str, limit: int) -> list[str]:
        """Values of one of `DIMENSIONS`, the last used first."""
        assert field in DIMENSIONS
        query = f"SELECT {field} FROM runs WHERE {field} != '' AND run != 'host' GROUP BY {field}"
        return [text for (text,) in self._database.execute(f"{query} ORDER BY max(last) DESC LIMIT ?", (limit,))]

    def totals(self) -> tuple[int, int]:
        """(records, runs) in the index."""
        records, runs = self._database.execute("SELECT sum(records), sum(run != 'host') FROM runs").fetchone()
        return int(records or 0), int(runs or 0)

    def _number(self, text: str) -> int:
        row = self._database.execute("SELECT id FROM names WHERE text = ?", (text,)).fetchone()
        return row[0] if row else -1

    def _verdicts(self) -> dict[int, str]:
        return {self._number(text): text for text in ("allow", "ask", "deny")}

    def _names(self, numbers: set[int]) -> dict[int, str]:
        return self._texts("SELECT id, text FROM names", numbers)

    def _hosts(self, numbers: set[int]) -> dict[int, str]:
        return self._texts("SELECT id, host FROM hosts", numbers)

    def _texts(self, query: str, numbers: set[int]) -> dict[int, str]:
        wanted = f"[{','.join(map(str, numbers))}]"
        rows = self._database.execute(f"{query} WHERE id IN (SELECT value FROM json_each(?))", (wanted,))
        return dict(rows.fetchall())


def _source(made: Plan, by: str) -> tuple[str, str, list[object]]:
    """(tables with conditions, sums, values): all time from the groups, a span from the hours (full hours at its
    ends), paths from their own sums."""
    where, values = made.where or "1", list(made.values)
    always = made.since == 0 and made.until == MOST
    if by == "path" or not always:
        table, one = ("paths", "p") if by == "path" else ("hours", "h")
        source = f"groups s JOIN {table} {one} ON {one}.grp = s.id WHERE {where}"
        if not always:
            source += f" AND s.last >= ? AND s.first < ? AND {one}.hour >= ? AND {one}.hour <= ?"
            values += [made.since, made.until, made.since // HOUR, (made.until - 1) // HOUR]
        first, last = ("p.first", "p.last") if by == "path" else _WITHIN
    else:
        one, source, first, last = "s", f"groups s WHERE {where}", "s.first", "s.last"
    some = f" AND ({one}.requests OR {one}.asks OR {one}.up OR {one}.down)"
    sums = f"sum({one}.requests), sum({one}.asks), total({one}.up), total({one}.down), min({first}), max({last})"
    return source + some, sums, values


def _add(one: Reached, row: tuple[int, ...], names: dict[int, str]) -> None:
    _, method, verdict, secrets, rule, requests, asks, up, down, first, last = row
    one.requests, one.asks = one.requests + requests, one.asks + asks
    one.up, one.down = one.up + int(up), one.down + int(down)
    one.first, one.last = min(one.first, first), max(one.last, last)
    for known, text in ((one.methods, names[method]), (one.rules, names[rule])):
        if text and text not in known:
            known.append(text)
    for text in names[secrets].split(","):
        if text and text not in one.secrets:
            one.secrets.append(text)
    if requests:
        name = names[verdict] or "allow"
        one.verdicts[name] = one.verdicts.get(name, 0) + requests


def _count(bucket: Bucket, verdict: str, requests: int, asks: int) -> None:
    bucket.ask += asks
    if verdict == "deny":
        bucket.deny += requests
    else:
        bucket.allow += requests
